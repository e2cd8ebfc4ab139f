// C-STORE by dcmjs-dimse, over one association.
// store.js HOST PORT AE-TITLE MODE FILES…; MODE: plain, identity, async, tls:CA:CERTIFICATE:KEY
const fs = require('fs');
const { Client, Transcoding, requests, constants } = require('dcmjs-dimse');

const [host, port, title, mode, ...files] = process.argv.slice(2);

function options() {
  const [kind, ca, cert, key] = mode.split(':');
  switch (kind) {
    case 'identity':
      return {
        userIdentity: { type: 2, positiveResponseRequested: true, primaryField: 'user', secondaryField: 'secret' },
      };
    case 'async':
      return { asyncOps: { maxAsyncOpsInvoked: 8, maxAsyncOpsPerformed: 1 } };
    case 'tls':
      return { securityOptions: { ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key) } };
    default:
      return {};
  }
}

async function main() {
  await Transcoding.initializeAsync().catch(() => {});
  const client = new Client();
  for (const file of files) {
    try {
      const request = new requests.CStoreRequest(file);
      request.on('response', (response) => {
        if (response.getStatus() !== constants.Status.Success) console.log(`${file}: ${response.getStatus()}`);
      });
      client.addRequest(request);
    } catch (error) {
      console.log(`${file}: ${error.message}`);
    }
  }
  client.on('networkError', (error) => console.log(`network: ${error.message}`));
  client.send(host, Number(port), title, 'ChRIS', options());
}

main();
