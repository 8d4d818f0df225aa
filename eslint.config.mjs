// No presets are imported, so that the configuration works wherever eslint itself is installed.
const globals = Object.fromEntries(
	[
		...["window", "document", "navigator", "location", "console", "fetch", "URL", "URLSearchParams"],
		...["setTimeout", "clearTimeout", "setInterval", "clearInterval", "localStorage", "FormData", "Blob"],
		...[
			"frappe",
			"erpnext",
			"cur_frm",
			"cur_list",
			"cur_page",
			"locals",
			"__",
			"$",
			"jQuery",
			"moment",
			"flt",
		],
		...["cint", "cstr", "in_list", "Vue"],
	].map((name) => [name, "readonly"])
);

export default [
	{ ignores: ["**/node_modules/**", "**/public/dist/**"] },
	{
		files: ["**/*.js", "**/*.mjs"],
		languageOptions: { ecmaVersion: 2022, sourceType: "module", globals },
		rules: {
			"no-undef": "error",
			"no-unused-vars": ["error", { args: "none" }],
			"no-redeclare": "error",
			"no-unreachable": "error",
			"no-dupe-keys": "error",
			"no-self-assign": "error",
			"no-unsafe-negation": "error",
			"no-eval": "error",
			"no-implied-eval": "error",
			"no-debugger": "error",
			"no-console": "warn",
			"valid-typeof": "error",
			"use-isnan": "error",
			eqeqeq: ["error", "smart"],
			"prefer-const": "error",
			"no-var": "error",
		},
	},
];
