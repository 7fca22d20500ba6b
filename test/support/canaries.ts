import { createHash } from 'node:crypto'

/** Values that may be seen nowhere but where they belong, by what they are. */
export type Canaries = Readonly<Record<string, string>>

/** Which of them a text holds. */
export const heldBy = (text: string, canaries: Canaries): string[] =>
  Object.keys(canaries).filter(name => text.includes(canaries[name] as string))

/** How test/fixtures/canary-server.mjs calls the user of a token. */
export const labelOf = (token: string) => createHash('sha256').update(token).digest('hex').slice(0, 12)
