const typedCalls = `
  // By the types, too: what is misspelt here does not compile.
  const sum = await sdk.everythingGetSum({ body: { a: 2, b: 3 } })
  // @ts-expect-error a number is wanted
  const wrong = () => sdk.everythingGetSum({ body: { a: '2', b: 3 } })
  void wrong
  const headers = { 'X-Session-Id': session }
  const echo = await typed.POST('/tools/everything__echo', { body: { message: 'typed' }, headers })
  if (sum.data === undefined || echo.data === undefined) throw new Error('a typed call failed')
`

/**
 * The source of a program that calls each operation of a plan by both generated clients. It is compiled with them:
 * `hey` is the folder of @hey-api/openapi-ts, and `api.d.ts` the types of openapi-typescript.
 *
 * It writes a line of JSON for each call: the client, the operation, the status and the body. `isTyped`: it makes calls
 * of server-everything, too, whose types are checked.
 */
export const generatedCaller = ({ isTyped }: { isTyped: boolean }) => `
import { readFileSync } from 'node:fs'
import createClient from 'openapi-fetch'
import type { paths } from './api'
import { client } from './hey/client.gen'
import * as sdk from './hey/sdk.gen'

interface Call { id: string, method: string, url: string, body?: object, path?: object, query?: object, session: boolean }
interface Outcome { data?: unknown, error?: unknown, response: Response }
type HeyCall = (options: object) => Promise<Outcome>
type FetchCall = (url: string, options: object) => Promise<Outcome>

const { baseUrl, session, phases }: { baseUrl: string, session: string, phases: Call[][] } =
  JSON.parse(readFileSync(process.argv[2] as string, 'utf8'))

// The generated functions know which operation wants the session.
client.setConfig({ baseUrl, auth: scheme => scheme.name === 'X-Session-Id' ? session : undefined })
const typed = createClient<paths>({ baseUrl })

const likeness = (name: string) => name.replace(/[_-]/g, '').toLowerCase()
const functions = new Map(Object.entries(sdk).map(([name, call]) => [likeness(name), call as unknown as HeyCall]))

function print (by: string, { id }: Call, { data, error, response }: Outcome): void {
  process.stdout.write(JSON.stringify({ by, id, status: response.status, body: data ?? error }) + '\\n')
}

async function callByHey (call: Call): Promise<void> {
  const { id, body, path, query } = call
  const made = functions.get(likeness(id))
  if (made === undefined) throw new Error('no function is generated for ' + id)
  print('hey', call, await made({ body, path, query }))
}

async function callByFetch (call: Call): Promise<void> {
  const { method, url, body, path, query, session: needsSession } = call
  const made = (typed as unknown as Record<string, FetchCall>)[method.toUpperCase()] as FetchCall
  const headers = needsSession ? { 'X-Session-Id': session } : {}
  print('fetch', call, await made(url, { body, params: { path, query }, headers }))
}

async function main (): Promise<void> {
${isTyped ? typedCalls : ''}
  // What ends something comes last.
  for (const some of phases) {
    for (const call of some) await callByHey(call)
    for (const call of some) await callByFetch(call)
  }
}

main().catch(error => {
  console.error(error)
  process.exitCode = 1
})
`
