export const apiUrl = 'https://api.example.com'

/** Three segments, as a token must have; the middle one names it as a fake. */
export const jwtToken = 'test.not-a-real-token.signature'

/** A token that says whose it is, signed by nobody. Different each time, as a renewed one is. */
export function tokenOf (claims: Record<string, unknown>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part({ ...claims, jti: crypto.randomUUID() })}.not-a-real-signature`
}
