<?php
// A receiver of Integration Hub's events: checks the signature, keeps the event once, answers at once.
// PHP 8, nothing to install. Behind your web server, or to try it:
//
//     WEBHOOK_SECRET=whsec_… INBOX=inbox php -S 127.0.0.1:8080 receiver.php

const TOLERANCE_SECONDS = 5 * 60;

// Whether the hub signed exactly these bytes, not more than five minutes ago.
function is_genuine(string $secret, string $body): bool
{
	$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
	$timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
	$signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
	if ($id === '' || !ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
		return false;
	}
	$key = base64_decode(preg_replace('/^whsec_/', '', $secret));
	$expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
	// While a secret is rotated there are two signatures; one that fits is enough.
	foreach (explode(' ', $signatures) as $signature) {
		if (hash_equals($expected, $signature)) {
			return true;
		}
	}
	return false;
}

// Store an event under its id: delivered twice, it is there once. Work on it later, outside the request.
function keep(string $inbox, string $event_id, string $body): void
{
	$file = "$inbox/$event_id.json";
	if (!file_exists($file)) {
		$part = "$inbox/$event_id." . getmypid() . '.part';
		file_put_contents($part, $body);
		rename($part, $file);
	}
}

$secret = getenv('WEBHOOK_SECRET');
$inbox = getenv('INBOX') ?: 'inbox';
// The bytes as they came: decoding the JSON and writing it again would change them.
$body = file_get_contents('php://input');

// Without a secret anybody could sign.
if (!$secret || !is_genuine($secret, $body)) {
	http_response_code(401);
	exit;
}
is_dir($inbox) || mkdir($inbox);
keep($inbox, $_SERVER['HTTP_WEBHOOK_ID'], $body);
http_response_code(204);
