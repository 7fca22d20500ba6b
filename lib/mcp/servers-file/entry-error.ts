import { ConfigError } from '../../errors.ts'

/** A fault of the servers file: which entry, which field, and the rule. Never give it a value of the file: it could be a secret. */
export const entryError = (server: string, field: string, rule: string) =>
  new ConfigError(`MCP_SERVERS_FILE: server ${JSON.stringify(server)}: ${field} ${rule}`)
