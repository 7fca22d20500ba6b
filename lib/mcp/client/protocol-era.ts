import { isJsonObject, type JsonObject, parseJsonObject } from '../../json.ts'
import type { SharedTexts } from '../../redis/shared-texts.ts'

/**
 * The era of the protocol that a server speaks. `discover` is what is used of a modern server's description of itself.
 */
export type Era = LegacyEra | { kind: 'modern', discover: JsonObject }

/** A server that does not know streamable HTTP is reached by the transport before it. */
export interface LegacyEra { kind: 'legacy', transport?: 'older' }

/** Remembers the era of one server, so that it is asked once. None of this rejects: what is not known is asked for. */
export interface EraMemory {
  recall: () => Promise<Era | null>
  remember: (era: Era) => Promise<void>
  forget: () => Promise<void>
  /** The same memory for one request, whose log gets what goes wrong. */
  reportingTo: (report: Report) => EraMemory
}

/** Gets an error that no caller is answered with, and a message for the log. */
export type Report = (error: unknown, message: string) => void

export interface EraMemoryOptions {
  /** Where the workers share what they know. */
  store: SharedTexts
  /** Names the server's configuration; another configuration is another server. */
  server: string
  /** Gets what goes wrong where no single request is to blame. */
  onTrouble: Report
}

/** How long this worker goes by what it knows before it looks at what the others know (ms). */
const ownMs = 600_000

/**
 * An era found by one worker is known to all; that of a server whose credentials differ by session is still one and
 * the same.
 */
export function createEraMemory ({ store, server, onTrouble }: EraMemoryOptions): EraMemory {
  let own: { era: Era, until: number } | null = null

  const keep = (era: Era) => { own = { era, until: performance.now() + ownMs } }
  /** Redis in trouble costs a question, never a call. */
  const trying = async <Value>(report: Report, work: Promise<Value>): Promise<Value | null> => {
    try {
      return await work
    } catch (error) {
      report(error, 'the era of an mcp server could not be shared')
      return null
    }
  }

  const reportingTo = (report: Report): EraMemory => ({
    async recall () {
      if (own !== null && performance.now() < own.until) return own.era
      own = null
      const text = await trying(report, store.read(server))
      const era = text === null ? null : parseEra(text)
      if (era !== null) keep(era)
      return era
    },
    async remember (era) {
      if (own !== null && JSON.stringify(own.era) === JSON.stringify(era)) return keep(era)
      keep(era)
      await trying(report, store.write(server, JSON.stringify(era)))
    },
    async forget () {
      own = null
      await trying(report, store.remove(server))
    },
    reportingTo
  })
  return reportingTo(onTrouble)
}

/** `null` for a text that this service did not write: the server is probed anew. */
function parseEra (text: string): Era | null {
  const era = parseJsonObject(text)
  if (era?.kind === 'legacy') return { kind: 'legacy', ...(era.transport === 'older' && { transport: 'older' }) }
  return era?.kind === 'modern' && isJsonObject(era.discover) ? { kind: 'modern', discover: era.discover } : null
}
