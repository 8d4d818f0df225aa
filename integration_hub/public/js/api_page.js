// The page /integration-hub: hands the OpenAPI document to the viewer, in the colours of the page, and copies examples.
const THEMES = {
	light: {
		"primary-color": "#1f5fa8",
		"secondary-color": "#1f5fa8",
		"bg-color": "#ffffff",
		"text-color": "#22272e",
		"nav-bg-color": "#f5f7f9",
		"nav-text-color": "#22272e",
		"nav-hover-bg-color": "#e6ebf0",
		"nav-hover-text-color": "#0f3f75",
		"nav-accent-color": "#1f5fa8",
		"header-color": "#1f5fa8",
	},
	dark: {
		"primary-color": "#82bdf0",
		"secondary-color": "#82bdf0",
		"bg-color": "#16191d",
		"text-color": "#e4e7ea",
		"nav-bg-color": "#1b2025",
		"nav-text-color": "#e4e7ea",
		"nav-hover-bg-color": "#2a3138",
		"nav-hover-text-color": "#ffffff",
		"nav-accent-color": "#82bdf0",
		"header-color": "#82bdf0",
	},
};

const text_of = (id) => document.getElementById(id).textContent;
const words = JSON.parse(text_of("words"));
const viewer = document.getElementById("viewer");
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function colour() {
	const theme = THEMES[dark.matches ? "dark" : "light"];
	Object.entries(theme).forEach(([name, value]) => viewer.setAttribute(name, value));
}

async function show_operations() {
	colour();
	dark.addEventListener("change", colour);
	await window.customElements.whenDefined("openapi-explorer");
	viewer.loadSpec(JSON.parse(text_of("openapi")));
}

// A page over plain HTTP has no clipboard of its own.
async function copy(text) {
	if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
	const field = document.createElement("textarea");
	field.value = text;
	document.body.append(field);
	field.select();
	document.execCommand("copy");
	field.remove();
}

// The site may be reached under another name or port than it knows of itself.
for (const pre of document.querySelectorAll("pre[id]"))
	pre.textContent = pre.textContent.replace(/"https?:\/\/[^/]+/, `"${window.location.origin}`);

for (const button of document.querySelectorAll("[data-copy]"))
	button.addEventListener("click", async () => {
		await copy(text_of(button.dataset.copy));
		button.textContent = words.copied;
		setTimeout(() => (button.textContent = words.copy), 2_000);
	});

document.getElementById("download").addEventListener("click", () => {
	const file = new Blob([text_of("openapi")], { type: "application/json" });
	const link = document.createElement("a");
	link.href = URL.createObjectURL(file);
	link.download = "openapi.json";
	link.click();
	URL.revokeObjectURL(link.href);
});

if (viewer) show_operations();
