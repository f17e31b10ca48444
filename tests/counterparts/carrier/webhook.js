// Verifies a webhook by npm's standardwebhooks. usage: node webhook.js SECRET_BASE64 < {"headers": …, "body": …}
'use strict';
const fs = require('fs');
const { Webhook } = require('standardwebhooks');
const { headers, body } = JSON.parse(fs.readFileSync(0, 'utf8'));
try {
    console.log(JSON.stringify(new Webhook(process.argv[2]).verify(body, headers)));
} catch (error) {
    console.log(JSON.stringify({ refused: error.message }));
}
