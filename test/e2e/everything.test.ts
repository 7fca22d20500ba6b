import { createRequire } from 'node:module'
import t, { type Test } from 'tap'
import { startEverything } from '../support/mcp-servers.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'

const program = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')

const entries: Array<[what: string, entry: (t: Test) => Promise<Record<string, unknown>>]> = [
  ['stdio', async () => ({ command: process.execPath, args: [program, 'stdio'] })],
  ['streamable HTTP', async t => ({ url: (await startEverything(t, 'streamableHttp')).url })],
  ['SSE', async t => ({ type: 'sse', url: (await startEverything(t, 'sse')).url })]
]

for (const [what, entry] of entries) {
  t.test(`the official server that has a bit of everything lists and calls over ${what}`, async t => {
    const service = await serviceOn(t, { everything: await entry(t) })
    const id = await initSession(service)
    const { tools, errors } = (await postTo(service, '/tools', { session_id: id })).json()
    t.equal(errors, undefined)
    const names = tools.map(({ name }: { name: string }) => name)
    for (const name of ['echo', 'get-sum', 'get-tiny-image', 'get-structured-content']) { t.ok(names.includes(name), `it has ${name} among ${names}`) }

    t.strictSame((await call(service, id, 'echo', { message: 'hello' })).json(), { result: 'Echo: hello' })
    t.match((await call(service, id, 'get-sum', { a: 2, b: 3 })).json(), { result: /\b5\b/ })
    const { content } = (await call(service, id, 'get-tiny-image')).json()
    const image = content.find(({ type }: { type: string }) => type === 'image')
    t.match(image, { mimeType: 'image/png', data: /^iVBORw0KGgo/ })
    t.match((await call(service, id, 'get-structured-content', { location: 'Chicago' })).json(), {
      temperature: Number,
      conditions: String
    })
  })
}
