// SPDX-License-Identifier: GPL-3.0-or-later
// Is a description valid against OpenAPI's own meta-schema, and does each reference lead somewhere?
//
//   node check.js DESCRIPTION.yaml
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { parseDocument } from "yaml";

const file = process.argv[2];
const document = parseDocument(readFileSync(file, "utf8"), { prettyErrors: true });
for (const wrong of [...document.errors, ...document.warnings])
	console.error(`${file}: ${wrong.message}`);
if (document.errors.length || document.warnings.length) process.exit(1);

const description = document.toJS();
if (!/^3\.1\.\d+$/.test(description?.openapi)) {
	console.error(`${file}: openapi: ${description?.openapi} is not 3.1`);
	process.exit(1);
}
const { valid, errors } = await new Validator().validate(description);
for (const e of Array.isArray(errors) ? errors : [])
	console.error(
		`${file}: ${e.instancePath || "/"}: ${e.message}`,
		JSON.stringify(e.params ?? {}),
	);
if (!valid && !Array.isArray(errors)) console.error(`${file}: ${errors}`);
if (valid) console.log(`${file} is valid against the meta-schema of OpenAPI 3.1`);
process.exit(valid ? 0 : 1);
