import { randomUUID } from 'node:crypto'

/** Such a text can stand in a header and in a log line, and is no text of its own. */
const sane = /^[\w.:/+=@-]{1,128}$/

/** The id of a request: the caller's own where it is sane, else a random one. */
export const requestIdOf = (sent: string | string[] | undefined): string =>
  typeof sent === 'string' && sane.test(sent) ? sent : randomUUID()
