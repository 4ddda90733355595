// A certified OpenID provider for the tests: node op.mjs PORT CALLBACK SIGNED_OUT BACKCHANNEL
// PKCE is demanded, refresh tokens rotate, and a used one kills the whole grant: no grace.
import Provider from 'oidc-provider';

const [port, callback, out, backchannel] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const groups = new Map([['jane', ['staff']]]);

const op = new Provider(issuer, {
  clients: [{
    client_id: 'gateway',
    client_secret: '0123456789abcdef0123456789abcdef',
    redirect_uris: [callback],
    post_logout_redirect_uris: [out],
    backchannel_logout_uri: backchannel,
    backchannel_logout_session_required: true,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'cognito'],
  claims: {
    openid: ['sub', 'sid'],
    email: ['email', 'email_verified'],
    profile: ['name'],
    cognito: ['cognito:groups', 'cognito:username', 'token_use'],
  },
  conformIdTokenClaims: false, // claims go into the ID token, as Cognito does
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: 60, IdToken: 60, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600 },
  // It calls no loopback address by itself, and the gateway under test has no other.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  cookies: { keys: ['test'] },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id,
      name: id,
      email: `${id}@example.com`,
      email_verified: true,
      'cognito:groups': groups.get(id) ?? ['staff'],
      'cognito:username': id,
      token_use: 'id',
    }),
  }),
});

// POST /test/groups?account=jane&groups=a,b: what the next tokens say.
op.use(async (ctx, next) => {
  if (ctx.path !== '/test/groups') return next();
  groups.set(ctx.query.account, ctx.query.groups.split(',').filter(Boolean));
  ctx.status = 204;
});

op.listen(Number(port), '127.0.0.1', () => console.log('ready'));
