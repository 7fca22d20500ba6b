import { isJsonObject } from './json.ts'
import type { UpstreamSession, UpstreamSlot } from './mcp/upstream-session.ts'
import type { Session, SessionRepository } from './session-repository.ts'

/** The place in a session for its session at one MCP server. */
export function createUpstreamSlot (sessions: Pick<SessionRepository, 'readUpstream' | 'replaceUpstream'>, session: Session, server: string): UpstreamSlot {
  let text: string | null = null
  return {
    async read () {
      text = await sessions.readUpstream(session, server)
      return text === null ? null : parseUpstream(text)
    },
    async replace (next) {
      text = await sessions.replaceUpstream(session, server, text, JSON.stringify(next))
      return text === null ? null : parseUpstream(text)
    }
  }
}

/** `null` for what this version did not write. */
export function parseUpstream (text: string): UpstreamSession | null {
  try {
    const value: unknown = JSON.parse(text)
    const isSession = isJsonObject(value) && ['endpoint', 'sessionId', 'protocolVersion'].every(name => typeof value[name] === 'string')
    return isSession ? value as unknown as UpstreamSession : null
  } catch {
    return null
  }
}
