import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { startUpstream } from './mcp-servers.ts'
import { fixture } from './paths.ts'

/** The bytes of an answer. A list is a list of writes. $ID stands for the request's id. */
export type Scripted = string | string[] | {
  status?: number
  headers?: Record<string, string>
  body?: string
  writes?: string[]
  cuts?: number[]
  exit?: number
}
/** Answers by method, or by `method#name`; see test/fixtures/scripted-server.mjs. */
export type Script = Record<string, Scripted>

export interface ScriptedServer {
  /** Its entry in a servers file. */
  entry: Record<string, unknown>
  /** What it answers from now on. */
  play: (script: Script) => Promise<void>
}

export const transports = ['stdio', 'http'] as const
export type Transport = typeof transports[number]

/** A server that answers with the very bytes of a script. */
export async function startScripted (t: Test, transport: Transport, script: Script = {}): Promise<ScriptedServer> {
  const file = join(t.testdir({}), `${transport}-script.json`)
  const play = (script: Script) => writeFile(file, JSON.stringify(script))
  await play(script)
  if (transport === 'stdio') return { entry: { command: process.execPath, args: [fixture('scripted-server.mjs'), file] }, play }
  const { url } = await startUpstream(t, 'scripted', [file, '--http'])
  return { entry: { url }, play }
}

/** The message that answers a request with a result, from the result's text. */
export const resultText = (result: string) => `{"jsonrpc":"2.0","id":$ID,"result":${result}}`
/** The message that answers a tool call with one text block. */
export const textResult = (text: string) => resultText(`{"content":[{"type":"text","text":${JSON.stringify(text)}}]}`)
