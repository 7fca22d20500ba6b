import { parseJsonObject } from '../json.ts'
import type { UpstreamSession, UpstreamSlot } from '../mcp/server.ts'
import type { Session, StoredText } from './session.ts'
import type { SessionRepository } from './session-repository.ts'

/** The place in a session for its session at one MCP server. */
export function createUpstreamSlot (sessions: Pick<SessionRepository, 'readUpstream' | 'replaceUpstream'>, session: Session, server: string): UpstreamSlot {
  let there: StoredText | null = null
  return {
    async read () {
      there = await sessions.readUpstream(session, server)
      return there && parseUpstream(there.text)
    },
    async replace (next) {
      there = await sessions.replaceUpstream(session, server, there, JSON.stringify(next))
      return there && parseUpstream(there.text)
    }
  }
}

/** `null` for what this version did not write. */
export function parseUpstream (text: string): UpstreamSession | null {
  const value = parseJsonObject(text)
  const isSession = value !== null && ['endpoint', 'sessionId', 'protocolVersion'].every(name => typeof value[name] === 'string')
  return isSession ? value as unknown as UpstreamSession : null
}
