import { SignJWT, jwtVerify } from 'jose'
import { InputError } from '../analysis/input-error.mjs'

/** Everybody can read it here: it protects nothing, and is only for a demo on your own machine. */
export const DEMO_SECRET = 'demo-secret-that-everybody-knows-never-use-it'

const ISSUER = 'insight-demo'
const REASONS = {
  ERR_JWT_EXPIRED: 'The token has expired.',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'The token was not signed by this service.'
}
const keyOf = secret => new TextEncoder().encode(secret)

export function signDemoToken ({ secret = DEMO_SECRET, subject = 'demo-user', expiresInSeconds = 3600 } = {}) {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ iss: ISSUER, sub: subject, iat: now, exp: now + expiresInSeconds })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(keyOf(secret))
}

/** Throws a 401 that says why a token is not accepted, without quoting it. */
export async function verifyToken (token, secret) {
  try {
    // The named algorithm keeps out `alg: none` and keys of another kind.
    await jwtVerify(token, keyOf(secret), { issuer: ISSUER, algorithms: ['HS256'], requiredClaims: ['exp', 'sub'] })
  } catch (cause) {
    const reason = REASONS[cause.code] ?? 'The token is not a JSON Web Token of this service.'
    throw new InputError(reason, { statusCode: 401, cause })
  }
}
