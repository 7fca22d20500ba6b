import { ConfigError } from '../../errors.ts'

/** A mistake in one entry of the servers file. The others are not concerned. */
export class EntryError extends ConfigError {
  readonly server: string
  readonly field: string
  readonly rule: string

  constructor (server: string, field: string, rule: string) {
    super(`MCP_SERVERS_FILE: server ${JSON.stringify(server)}: ${field} ${rule}`)
    this.server = server
    this.field = field
    this.rule = rule
  }

  /** The field and the rule: what a reader needs who knows which server is meant. */
  get reason (): string {
    return `${this.field} ${this.rule}`
  }
}

/**
 * A mistake in the servers file: which entry, which field, and the rule that it breaks. The rule must hold no value
 * of the file, which could be a secret.
 */
export const entryError = (server: string, field: string, rule: string) => new EntryError(server, field, rule)
