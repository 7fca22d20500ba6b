import type { IntakeBounds } from '../transports/bounds.ts'

/** How much of what a server says of itself is used. What is longer comes of a server that is broken, or hostile. */
export interface ServerBounds extends IntakeBounds {
  /** All pages of one list together (bytes). */
  maxListBytes: number
  maxListItems: number
  maxInstructionsBytes: number
}

/** What a server says of how it is used. */
export interface Instructions {
  instructions?: string
  /** It says so, but at too great length. */
  areInstructionsLeftOut?: boolean
}

/** The instructions in something that has more than them. */
export const instructionsIn = ({ instructions, areInstructionsLeftOut }: Instructions): Instructions => ({
  ...(instructions !== undefined && { instructions }),
  ...(areInstructionsLeftOut === true && { areInstructionsLeftOut })
})

export function boundedInstructions (
  value: unknown, { maxInstructionsBytes }: Pick<ServerBounds, 'maxInstructionsBytes'>
): Instructions {
  if (typeof value !== 'string') return {}
  return Buffer.byteLength(value) <= maxInstructionsBytes ? { instructions: value } : { areInstructionsLeftOut: true }
}
