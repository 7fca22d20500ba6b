import type { Readable } from 'node:stream'
import { decodePieces } from '../../scratch.ts'
import { BoundError } from './bounds.ts'
import { heavyTurn } from './heavy-turns.ts'
import { readPaced } from './paced-reading.ts'

/** Length from which the end of a body, where it is read as a whole, counts as work that takes long (bytes). */
const longBytes = 262_144

/** Takes a body as it comes. */
export interface BodyReader {
  /** Throws what breaks the body off. */
  push: (chunk: Buffer) => void
  /** A long body has ended: does the first part of what is left to do. The second, at another time, is `end`. */
  join?: (() => void) | undefined
  /** The body has ended. */
  end: () => void
}

/** Reads a body to its end. Rejects when it breaks off, and with what the reader throws. */
export async function readBody (body: Readable, reader: BodyReader): Promise<void> {
  let bytes = 0
  await new Promise<void>((resolve, reject) => {
    if (body.destroyed) return reject(body.errored ?? new Error('it was given up'))
    const { flush } = readPaced(body, {
      push (chunk) {
        bytes += chunk.length
        reader.push(chunk)
      },
      end: resolve,
      fail (error) {
        reject(error)
        body.destroy(error)
      }
    })
    function giveUp (error: Error): void {
      flush()
      reject(error)
    }
    body.once('error', giveUp)
    // A body that was destroyed without an error has no end. After an end this says nothing new.
    body.once('close', () => { if (!body.readableEnded) giveUp(new Error('it was given up')) })
  })
  if (bytes > longBytes && reader.join !== undefined) {
    await heavyTurn()
    reader.join()
  }
  if (bytes > longBytes) await heavyTurn()
  reader.end()
}

/** Collects a text. Throws BoundError when it is longer than `maxBytes`. */
export function createTextReader (maxBytes: number, onText: (text: string) => void): BodyReader {
  const chunks: Buffer[] = []
  let bytes = 0
  let text: string | null = null
  const join = () => decodePieces(chunks.splice(0))
  return {
    push (chunk) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > maxBytes) throw tooLong(maxBytes)
    },
    join () { text = join() },
    end: () => onText(text ?? join())
  }
}

/** A body as text. Rejects with BoundError, and reads no further, when it is longer than `maxBytes`. */
export async function readText (body: Readable, maxBytes: number): Promise<string> {
  let text = ''
  await readBody(body, createTextReader(maxBytes, all => { text = all }))
  return text
}

export const tooLong = (maxBytes: number) =>
  new BoundError(`a message is longer than ${maxBytes} bytes (MCP_MAX_RESULT_BYTES)`)
