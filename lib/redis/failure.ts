/**
 * Replies by which Redis says that it cannot serve now. Any other refusal is about the one command.
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
 */
const unavailableCodes = new Set([
  'LOADING', 'BUSY', 'READONLY', 'MASTERDOWN', 'NOREPLICAS', 'MISCONF', 'OOM', 'MOVED', 'ASK', 'TRYAGAIN',
  'CLUSTERDOWN', 'NOAUTH', 'WRONGPASS', 'NOPERM'
])

/**
 * One line that says why a command or a connection failed. Reads only the message: an error of ioredis also carries the
 * command with its arguments, which may be a session's credentials, or the password.
 */
export function reasonOf (error: unknown): string {
  if (!(error instanceof Error)) return 'it does not answer'
  const reason = error.message || (error as NodeJS.ErrnoException).code || error.name
  // Redis quotes the arguments of a command that it does not know.
  return reason.replace(/, with args beginning with:.*/s, '')
}

/**
 * Whether a failure's reason means that Redis is unavailable, so that other commands fail, too: there is no connection,
 * no answer, or a reply that says so.
 */
export function meansUnavailable (reason: string): boolean {
  const [, code] = /^-?([A-Z]+) /.exec(reason) ?? []
  return code === undefined || unavailableCodes.has(code)
}
