// A provider on this machine, for the test in the browser: npm's `oidc-provider`, from the folder OIDC_PROVIDER.
//
// It prints its issuer, and reads the address of the site that uses it. It ends when its standard input ends.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const { Provider } = await import(`${process.env.OIDC_PROVIDER}/lib/index.js`);

const server = createServer();
server.listen(0, '127.0.0.1', () => console.log(`http://localhost:${server.address().port}`));

const input = createInterface({ input: process.stdin });
input.on('close', () => process.exit());
input.once('line', (site) => {
  const provider = new Provider(`http://localhost:${server.address().port}`, {
    clients: [
      {
        client_id: 'shop',
        client_secret: 'a secret of the shop and the provider',
        redirect_uris: [`${site}/callback`],
        post_logout_redirect_uris: [`${site}/`],
        backchannel_logout_uri: `${site}/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
    ],
    cookies: { keys: ['for this test only'] },
    features: { backchannelLogout: { enabled: true } },
    scopes: ['openid', 'profile'],
    // Drops the dispatcher, which keeps the provider from calling addresses of this machine.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  });
  server.on('request', provider.callback());
  console.log('ready');
});
