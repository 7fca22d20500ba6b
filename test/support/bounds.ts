import type { ServerBounds } from '../../lib/mcp/client/server-bounds.ts'
import { defaultBounds } from '../../lib/mcp/transports/bounds.ts'

/** Bounds that no ordinary server comes near. */
export const serverBounds: ServerBounds = {
  ...defaultBounds, maxListBytes: 33_554_432, maxListItems: 10_000, maxInstructionsBytes: 65_536
}
