// A receiver of Integration Hub's events: checks the signature, keeps the event once, answers at once.
// Node 18 or newer, nothing to install:
//
//     WEBHOOK_SECRET=whsec_… PORT=8080 INBOX=inbox node receiver.mjs

import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { env } from "node:process";

const SECRET = env.WEBHOOK_SECRET;
const INBOX = env.INBOX ?? "inbox";
const MAX_BYTES = 1024 * 1024;
const TOLERANCE_SECONDS = 5 * 60;

// Whether the hub signed exactly these bytes, not more than five minutes ago.
function isGenuine(headers, body) {
	const id = headers["webhook-id"];
	const timestamp = headers["webhook-timestamp"];
	const signatures = headers["webhook-signature"];
	if (!id || !timestamp || !signatures) return false;
	// Written so that a timestamp that is no number is refused, too.
	if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS)) return false;
	const key = Buffer.from(SECRET.replace(/^whsec_/, ""), "base64");
	const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
	// While a secret is rotated there are two signatures; one that fits is enough.
	return signatures.split(" ").some((one) => {
		const [version, signature] = one.split(",");
		const sent = Buffer.from(signature ?? "", "base64");
		return version === "v1" && sent.length === expected.length && timingSafeEqual(sent, expected);
	});
}

// Store an event under its id: delivered twice, it is there once. Work on it later, outside the request.
function keep(eventId, body) {
	const file = `${INBOX}/${eventId}.json`;
	if (existsSync(file)) return;
	writeFileSync(`${file}.part`, body);
	renameSync(`${file}.part`, file);
}

async function read(request) {
	const parts = [];
	let length = 0;
	for await (const part of request) {
		length += part.length;
		if (length > MAX_BYTES) return null;
		parts.push(part);
	}
	return Buffer.concat(parts);
}

async function receive(request, response) {
	const body = await read(request);
	if (body === null) return response.writeHead(413, { Connection: "close" }).end();
	if (!isGenuine(request.headers, body)) return response.writeHead(401).end();
	keep(request.headers["webhook-id"], body);
	response.writeHead(204).end();
}

mkdirSync(INBOX, { recursive: true });
createServer((request, response) => {
	receive(request, response).catch(() => response.writeHead(500).end());
}).listen(Number(env.PORT ?? 8080), "127.0.0.1");
