const maxPrefixLength = 32

/** What the names of a server's tools begin with unless its entry says otherwise: its name, made of allowed characters. */
export const defaultPrefix = (server: string) => withAllowedCharacters(server).slice(0, maxPrefixLength)

const withAllowedCharacters = (name: string) => name.replace(/[^A-Za-z0-9_-]/gu, '_')
