import { dirname, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { JsoncError, parseJsonc } from '../jsonc.ts'
import { readTextFile } from '../secret-file.ts'

/** Where notices go, and what signs them. */
export interface Receiver {
  url: URL
  /** Secret. Every one of them signs, so that a receiver may change from one to the next. */
  secrets: readonly Buffer[]
}

/** The receivers by the names that callers use. */
export type Receivers = ReadonlyMap<string, Receiver>

const namePattern = /^[A-Za-z0-9][\w.-]{0,63}$/
const members = new Set(['url', 'secret', 'secretFile'])
const secretRule = 'one or more secrets of Standard Webhooks: `whsec_` and 24 to 64 bytes in Base64'

/**
 * Reads the file of the receivers: a JSON object, with comments and trailing commas. Throws ConfigError, which names
 * the receiver and the field, and repeats no secret.
 */
export function readReceiversFile (file: string): Receivers {
  const path = resolve(file)
  const fault = (what: string) => new ConfigError(`MCP_NOTIFY_FILE: ${path} ${what}`)
  const read = readTextFile(path)
  if ('fault' in read) throw fault(read.fault)
  let value: unknown
  try {
    ({ value } = parseJsonc(read.value))
  } catch (error) {
    if (!(error instanceof JsoncError)) throw error
    throw fault(`is not valid JSON: ${error.message}`)
  }
  if (!isJsonObject(value)) throw fault('must hold an object: receivers by their names')
  return new Map(Object.entries(value)
    .filter(([name]) => name !== '$schema')
    .map(([name, entry]) => [name, readReceiver(name, entry, dirname(path), what => fault(`has a receiver ${what}`))]))
}

function readReceiver (name: string, entry: unknown, folder: string, fault: (what: string) => Error): Receiver {
  if (!namePattern.test(name)) {
    throw fault('whose name is not 1 to 64 letters, digits, dots, hyphens and underscores, the first no sign')
  }
  const must = (field: string, rule: string) => fault(`"${name}" whose ${field} must be ${rule}`)
  if (!isJsonObject(entry)) throw fault(`"${name}" that is no object`)
  const unknown = Object.keys(entry).find(member => !members.has(member))
  if (unknown !== undefined) throw fault(`"${name}" with a member that is none of url, secret and secretFile`)
  return { url: readUrl(entry, must), secrets: readSecrets(entry, folder, must) }
}

type Must = (field: string, rule: string) => Error

function readUrl ({ url }: JsonObject, must: Must): URL {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : null
  const isWhole = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.hash === ''
  if (!isWhole || parsed.username !== '' || parsed.password !== '') {
    throw must('url', 'an http or https address without user, password and fragment')
  }
  return parsed
}

function readSecrets ({ secret, secretFile }: JsonObject, folder: string, must: Must): Buffer[] {
  if ((secret === undefined) === (secretFile === undefined)) throw must('secret', `${secretRule}, or in a secretFile`)
  const field = secret === undefined ? 'secretFile' : 'secret'
  const texts = secret === undefined ? linesOf(secretFile, folder, must) : [secret].flat()
  const secrets = texts.map(text => typeof text === 'string' ? parseSecret(text) : null)
  if (secrets.length === 0 || secrets.includes(null)) throw must(field, secretRule)
  return secrets as Buffer[] // there is no null
}

function linesOf (secretFile: unknown, folder: string, must: Must): string[] {
  if (typeof secretFile !== 'string' || secretFile === '') throw must('secretFile', 'a path')
  const read = readTextFile(resolve(folder, secretFile))
  if ('fault' in read) throw must('secretFile', `a text file, but ${JSON.stringify(secretFile)} ${read.fault}`)
  return read.value.split(/\r?\n/).map(line => line.trim()).filter(line => line !== '')
}

/** @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
function parseSecret (text: string): Buffer | null {
  const [, encoded] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? []
  const secret = Buffer.from(encoded ?? '', 'base64')
  return secret.length >= 24 && secret.length <= 64 ? secret : null
}
