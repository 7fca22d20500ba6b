export const apiUrl = 'https://api.example.com'

/** Three segments, as a token must have; the middle one names it as a fake. */
export const jwtToken = 'test.not-a-real-token.signature'

/** A token that says whose it is, signed by nobody. Different each time, as a renewed one is. */
export function tokenOf (claims: Record<string, unknown>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part({ ...claims, jti: crypto.randomUUID() })}.not-a-real-signature`
}

/** What credentials take of the bytes that a session may have, where nothing is sealed. */
export const credentialBytes = (credentials: Record<string, unknown> = { apiUrl, jwtToken }) =>
  'credentials'.length + JSON.stringify(credentials).length
