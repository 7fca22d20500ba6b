import { parseJsonObject } from '../json.ts'
import type { UpstreamSession, UpstreamSlot } from '../mcp/server.ts'
import type { Session } from './session.ts'
import type { SessionContents, StoredText } from './session-contents.ts'

/** The slot in a session that holds its own session at one MCP server. */
export function createUpstreamSlot (
  sessions: Pick<SessionContents, 'readUpstream' | 'replaceUpstream'>, session: Session, server: string
): UpstreamSlot {
  let stored: StoredText | null = null
  return {
    async read () {
      stored = await sessions.readUpstream(session, server)
      return stored && parseUpstream(stored.text)
    },
    async replace (next) {
      stored = await sessions.replaceUpstream(session, server, stored, JSON.stringify(next))
      return stored && parseUpstream(stored.text)
    },
    async remove ({ sessionId }) {
      if (stored === null || parseUpstream(stored.text)?.sessionId !== sessionId) return
      stored = await sessions.replaceUpstream(session, server, stored, null)
    }
  }
}

/** `null` for a text that this version did not write. */
export function parseUpstream (text: string): UpstreamSession | null {
  const value = parseJsonObject(text)
  const names = ['endpoint', 'sessionId', 'protocolVersion']
  const isSession = value !== null && names.every(name => typeof value[name] === 'string')
  return isSession ? value as unknown as UpstreamSession : null
}
