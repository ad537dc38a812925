// A certified OpenID Connect provider, set up by one JSON argument, on loopback.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { modules, url, keys, client, people } = JSON.parse(process.argv[2]);
const found = createRequire(`${modules}/`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(found));

const provider = new Provider(url, {
  jwks: { keys },
  clients: [client],
  claims: { openid: ['sub'], profile: ['name', 'groups'] },
  pkce: { required: () => true },
  findAccount: (_, id) =>
    people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
});
const { hostname, port } = new URL(url);
provider.listen(Number(port), hostname, () => console.log('ready'));
