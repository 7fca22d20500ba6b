import { ConfigError } from '../../errors.ts'

/**
 * A mistake in the servers file: which entry, which field, and the rule that it breaks. The rule must hold no value
 * of the file, which could be a secret.
 */
export const entryError = (server: string, field: string, rule: string) =>
  new ConfigError(`MCP_SERVERS_FILE: server ${JSON.stringify(server)}: ${field} ${rule}`)
