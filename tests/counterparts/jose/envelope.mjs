// Opens and makes envelopes with panva's jose, which shares no code with ours.
//
//   node envelope.mjs open   {kw, jwe} on standard input → the content
//   node envelope.mjs make   {kw, kid, content} on standard input → an envelope

import { readFileSync } from "node:fs";
import { CompactEncrypt, compactDecrypt, importJWK } from "jose";

const input = JSON.parse(readFileSync(0, "utf8"));
const kek = Buffer.from(input.kw, "hex");

async function open({ jwe }) {
  const { plaintext, protectedHeader } = await compactDecrypt(jwe, kek, {
    keyManagementAlgorithms: ["A256KW"],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  const content = JSON.parse(new TextDecoder().decode(plaintext));
  for (const jwk of protectedHeader.cty === "jwk-set+json" ? content.keys : [content]) {
    const key = await importJWK(jwk, "A256GCM");
    if (key.length !== 32 || protectedHeader.typ !== "sidekey-key+jwe") {
      throw new Error("not a session key");
    }
  }
  return JSON.stringify(content);
}

// Members in an order of its own, and white space: what another implementation may well write.
async function make({ kid, content, cty = "jwk+json" }) {
  const reversed = Object.fromEntries(Object.entries(content).reverse());
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(reversed, null, 2)))
    .setProtectedHeader({ typ: "sidekey-key+jwe", cty, kid, enc: "A256GCM", alg: "A256KW" })
    .encrypt(kek);
}

const verb = { open, make }[process.argv[2]];
process.stdout.write(await verb(input));
