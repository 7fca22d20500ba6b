// @ts-check
import { SignJWT, errors, jwtVerify } from 'jose'
import { HttpError } from './json-http.mjs'

/** Everybody can read it here: it protects nothing, and is only for a demo on your own machine. */
export const DEMO_SECRET = 'demo-secret-that-everybody-knows-never-use-it'

const ISSUER = 'insight-demo'

/**
 * @param {{ secret?: string | undefined, subject?: string | undefined, expiresInSeconds?: number | undefined }} [options] a negative time
 *   gives a token that has expired
 * @returns {Promise<string>}
 */
export async function signDemoToken ({ secret = DEMO_SECRET, subject = 'demo-user', expiresInSeconds = 3600 } = {}) {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT()
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(ISSUER)
    .setSubject(subject)
    .setIssuedAt(now)
    .setExpirationTime(now + expiresInSeconds)
    .sign(new TextEncoder().encode(secret))
}

/**
 * Makes a function that returns the subject of a token, or throws a 401 that says why without quoting the token.
 * @param {string} secret
 */
export function createTokenVerifier (secret) {
  const key = new TextEncoder().encode(secret)

  /** @param {string} token */
  return async function verifyToken (token) {
    try {
      // Naming the algorithm is what keeps out `alg: none` and keys of another kind.
      const { payload } = await jwtVerify(token, key, { issuer: ISSUER, algorithms: ['HS256'], requiredClaims: ['exp', 'sub'] })
      return String(payload.sub)
    } catch (error) {
      throw new HttpError(401, refusal(error), { cause: error })
    }
  }
}

/** @param {unknown} error */
function refusal (error) {
  if (error instanceof errors.JWTExpired) return 'The token has expired.'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'The token was not signed by this service.'
  if (error instanceof errors.JWTClaimValidationFailed) return `The token's claim "${error.claim}" is missing or not the expected one.`
  return 'The token is not a JSON Web Token of this service.'
}
