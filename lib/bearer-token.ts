/** The token of `Authorization: Bearer`; `undefined` when there is none. RFC 6750, section 2.1. */
export const bearerToken = (authorization: string | undefined): string | undefined => /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
