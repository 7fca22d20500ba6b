import type { ServerBounds } from '../../lib/mcp/client/server-bounds.ts'

/** Bounds that no ordinary server comes near. */
export const serverBounds: ServerBounds = {
  maxListBytes: 33_554_432, maxListItems: 10_000, maxInstructionsBytes: 65_536
}
