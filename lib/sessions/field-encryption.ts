import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { SessionUnreadableError } from '../errors.ts'

export interface EncryptionKey {
  id: string
  /** Secret. 32 bytes. */
  key: Buffer
}

/** Seals and opens the fields of one session. */
export interface FieldSeal {
  seal: (field: string, text: string) => string
  /**
   * Gives a text that was written without a key as it is. Throws SealError, whose message holds nothing of the text.
   */
  open: (field: string, text: string) => string
  /** The same for bytes, which need not be text. Those that were written without a key are marked, too. */
  sealBytes: (field: string, bytes: Buffer) => Buffer
  openBytes: (field: string, bytes: Buffer) => Buffer
  /** Whether a text is as it would be written now: sealed with the first key, or plain where there is none. */
  isCurrent: (text: string) => boolean
}

/** A field does not open; the message says why. */
export class SealError extends Error {
  override name = 'SealError'
}

/*
 * A sealed field is the text `s1.<key id>.<base64url of: nonce (12 bytes), ciphertext, tag (16 bytes)>`. An unsealed
 * one is JSON, which never begins like that. Sealed bytes are the same without base64url, and unsealed ones have the
 * mark `p1.` before them.
 *
 * The algorithm is AES-256-GCM (NIST SP 800-38D), with the field's name as additional data. The key is derived for
 * the session: one block of HKDF-Expand with SHA-256 (RFC 5869), whose info is `mcp-session`, the Redis key and
 * `meta`, with NUL between. So a field opens in its session and under its name only. Random nonces may be used 2^32
 * times with one key; that bound is each session's own.
 */
const mark = 's1.'
const plainMark = Buffer.from('p1.')
const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** Pairs `id:key` with commas or white space between, keys of 32 bytes in Base64; `null` for anything else. */
export function parseEncryptionKeys (text: string): EncryptionKey[] | null {
  const keys = text.trim().split(/[\s,]+/).map(pair => {
    const [, id = '', encoded = ''] = /^([\w-]{1,32}):([\w+/-]{43}=?)$/.exec(pair) ?? []
    return { id, key: Buffer.from(encoded, 'base64') }
  })
  const ids = new Set(keys.map(({ id }) => id))
  return keys.every(({ key }) => key.length === 32) && ids.size === keys.length ? keys : null
}

/**
 * Gives the seal of a session from its Redis key and its `meta`, which differs from that of any other session that is
 * ever there. The first key seals, all of them open.
 */
export function createSealing (keys: readonly EncryptionKey[]): (sessionKey: string, meta: string) => FieldSeal {
  const [first] = keys
  if (first === undefined) return () => plain

  return (sessionKey, meta) => {
    const info = ['mcp-session', sessionKey, meta].join('\0')
    const derived = new Map<string, Buffer>()
    const keyOf = ({ id, key }: EncryptionKey): Buffer => {
      // Deriving costs as much as sealing a few kilobytes.
      const known = derived.get(id) ?? deriveKey(key, info)
      derived.set(id, known)
      return known
    }
    function keyNamed (id: string, field: string): Buffer {
      const key = keys.find(key => key.id === id)
      if (key !== undefined) return keyOf(key)
      const what = `the field ${nameForLog(field)} is sealed with ${idForLog(id)}`
      throw new SealError(`${what}, which MCP_ENCRYPTION_KEYS does not have`)
    }
    return {
      seal: (field, text) => `${mark}${first.id}.${encrypt(keyOf(first), field, text).toString('base64url')}`,

      open (field, text) {
        if (!isSealed(text)) return text
        // A regular expression would take as long as all the rest, where a text is long.
        const end = text.indexOf('.', mark.length)
        const key = keyNamed(text.slice(mark.length, end), field)
        return decrypt(key, field, Buffer.from(text.slice(end + 1), 'base64url')).toString('utf8')
      },

      sealBytes: (field, bytes) =>
        Buffer.concat([Buffer.from(`${mark}${first.id}.`), encrypt(keyOf(first), field, bytes)]),

      openBytes (field, bytes) {
        if (!isSealed(bytes.toString('latin1', 0, mark.length))) return withoutPlainMark(field, bytes)
        const end = bytes.indexOf('.', mark.length)
        return decrypt(keyNamed(bytes.toString('latin1', mark.length, end), field), field, bytes.subarray(end + 1))
      },

      isCurrent: text => text.startsWith(`${mark}${first.id}.`)
    }
  }
}

const plain: FieldSeal = {
  seal: (field, text) => text,
  open (field, text) {
    if (!isSealed(text)) return text
    throw sealedWithoutKeys(field)
  },
  sealBytes: (field, bytes) => Buffer.concat([plainMark, bytes]),
  openBytes (field, bytes) {
    if (isSealed(bytes.toString('latin1', 0, mark.length))) throw sealedWithoutKeys(field)
    return withoutPlainMark(field, bytes)
  },
  isCurrent: text => !isSealed(text)
}

const sealedWithoutKeys = (field: string) =>
  new SealError(`the field ${nameForLog(field)} is sealed, and MCP_ENCRYPTION_KEYS is not set`)

function withoutPlainMark (field: string, bytes: Buffer): Buffer {
  if (plainMark.equals(bytes.subarray(0, plainMark.length))) return bytes.subarray(plainMark.length)
  throw new SealError(`the field ${nameForLog(field)} does not open: it was not written by this service`)
}

const isSealed = (text: string) => text.startsWith(mark)

/**
 * Not Node's HKDF: it takes four times as long, and its `info` has at most 1024 bytes, which an id of 256 characters
 * can fill alone.
 */
function deriveKey (key: Buffer, info: string): Buffer {
  return createHmac('sha256', key).update(info).update('\x01').digest()
}

function encrypt (key: Buffer, field: string, content: string | Buffer): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(Buffer.from(field))
  const sealed = typeof content === 'string' ? cipher.update(content, 'utf8') : cipher.update(content)
  return Buffer.concat([nonce, sealed, cipher.final(), cipher.getAuthTag()])
}

function decrypt (key: Buffer, field: string, bytes: Buffer): Buffer {
  try {
    const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(field)).setAuthTag(bytes.subarray(-tagBytes))
    const opened = decipher.update(bytes.subarray(nonceBytes, -tagBytes))
    decipher.final() // gives nothing more, and throws when the tag is another
    return opened
  } catch {
    const why = 'it was sealed for another session or another field, or was changed'
    throw new SealError(`the field ${nameForLog(field)} does not open: ${why}`)
  }
}

/** A text that is no id may be anything, also a secret. */
const idForLog = (id: string) => /^[\w-]{1,32}$/.test(id) ? `the key ${id}` : 'something'

/** The name of a value is the caller's, and that of a call lets its session's caller read it: neither is for a log. */
const nameForLog = (field: string) => /^[pqdretx]:/.test(field) ? `${field.slice(0, 2)}…` : field

/** Throws SessionUnreadableError, its cause a SealError. `id` is the session's. */
export function openField (seal: FieldSeal, field: string, text: string, id: string): string {
  try {
    return seal.open(field, text)
  } catch (cause) {
    throw new SessionUnreadableError(id, { cause })
  }
}

/** `null` for a text that does not open. */
export function tryToOpen (seal: FieldSeal, field: string, text: string): string | null {
  try {
    return seal.open(field, text)
  } catch {
    return null // the caller goes on without the field, or leaves it to others to report
  }
}
