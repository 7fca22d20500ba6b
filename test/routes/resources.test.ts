import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Refused, startAnsweringServer } from '../support/answering-server.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { initSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build } from '../support/service.ts'

const post = (service: FastifyInstance, url: string, payload: object) =>
  service.inject({ method: 'POST', url, payload })

async function start (t: Test, servers: Record<string, [name: string, ...args: string[]]>) {
  const entries = await Promise.all(
    Object.entries(servers).map(async ([name, [server, ...args]]) => [
      name,
      { type: server === 'sse' ? 'sse' : 'http', url: (await startUpstream(t, server, args)).url }
    ])
  )
  const service = await build(t, { MCP_SERVERS_FILE: await serversFile(t, Object.fromEntries(entries)) })
  const id = await initSession(service)
  return {
    service,
    ask: async (url: string, fields: object = {}) => await post(service, url, { session_id: id, ...fields })
  }
}

for (const [what, server] of [
  ['2025', ['http-2025']],
  ['2026', ['http-2026', '--modern-only']]
] as const) {
  t.test(`resources and prompts of a server of the ${what} era`, async t => {
    const { ask } = await start(t, { up: [...server] })

    t.match((await ask('/resources')).json(), { resources: [{ uri: 'note://hello' }, { uri: 'note://pixel' }] })
    t.match((await ask('/resource-templates')).json(), {
      resourceTemplates: [{ uriTemplate: 'note://people/{name}' }]
    })
    t.match((await ask('/read-resource', { uri: 'note://hello' })).json(), {
      contents: [{ uri: 'note://hello', text: String }]
    })
    const [pixel] = (await ask('/read-resource', { uri: 'note://pixel' })).json().contents
    t.match(pixel, { uri: 'note://pixel', mimeType: 'image/png' })
    t.strictSame(Buffer.from(pixel.blob, 'base64').subarray(1, 4).toString(), 'PNG')
    t.match((await ask('/read-resource', { uri: 'note://people/ada' })).json(), { contents: [{ text: /ada/ }] })
    t.match((await ask('/read-resource', { uri: 'note://nowhere' })).json(), { code: 'MCPC_ERR_UNKNOWN_RESOURCE' })

    t.match(
      (await ask('/prompts'))
        .json()
        .prompts.map(({ name }: { name: string }) => name)
        .sort(),
      ['greet', 'plain']
    )
    t.match((await ask('/get-prompt', { name: 'greet', arguments: { name: 'Ada' } })).json(), {
      messages: [{ content: { type: 'text', text: /Ada/ } }]
    })
    t.match((await ask('/get-prompt', { name: 'none' })).statusCode, 400)
    t.match((await ask('/get-prompt', { name: 'greet', arguments: { name: 5 } })).json(), {
      code: 'MCPC_ERR_INVALID_FIELD'
    })

    const completion = await ask('/complete', {
      ref: { type: 'ref/prompt', name: 'greet' },
      argument: { name: 'style', value: '' }
    })
    t.ok(completion.json().completion.values.length > 0, completion.body)
    t.ok(
      (
        await ask('/complete', {
          ref: { type: 'ref/resource', uri: 'note://people/{name}' },
          argument: { name: 'name', value: 'a' }
        })
      ).json().completion.values.length > 0
    )
  })
}

t.test('a server that has none gives empty lists', async t => {
  const service = await build(t)
  const id = await initSession(service)
  t.strictSame((await post(service, '/resources', { session_id: id })).json(), { resources: [] })
  t.strictSame((await post(service, '/resource-templates', { session_id: id })).json(), { resourceTemplates: [] })
  t.strictSame((await post(service, '/prompts', { session_id: id })).json(), { prompts: [] })
  t.strictSame(
    (
      await post(service, '/complete', {
        session_id: id,
        ref: { type: 'ref/prompt', name: 'a' },
        argument: { name: 'b', value: '' }
      })
    ).json(),
    { completion: { values: [] } }
  )
})

t.test(
  "of several servers, each resource has its server, each prompt its server's name, and each is found",
  async t => {
    const { ask } = await start(t, { old: ['http-2025'], new: ['http-2026', '--modern-only'] })

    const { resources } = (await ask('/resources')).json()
    t.strictSame([...new Set(resources.map(({ server }: { server: string }) => server))], ['old', 'new'])
    t.match((await ask('/read-resource', { uri: 'note://hello' })).json(), {
      error: 'server must be given, for old and new may have this resource'
    })
    t.equal((await ask('/read-resource', { uri: 'note://hello', server: 'new' })).statusCode, 200)
    t.match((await ask('/read-resource', { uri: 'note://hello', server: 'none' })).json(), {
      error: 'server must be one of old, new'
    })
    t.match((await ask('/read-resource', { uri: 'note://people/ada' })).json(), { code: 'MCPC_ERR_INVALID_FIELD' })
    t.match((await ask('/read-resource', { uri: 'other://thing' })).json(), {
      code: 'MCPC_ERR_UNKNOWN_RESOURCE',
      error: 'There is no resource other://thing: no server lists it'
    })

    const names = (await ask('/prompts')).json().prompts.map(({ name }: { name: string }) => name)
    t.strictSame(names.sort(), ['new__greet', 'new__plain', 'old__greet', 'old__plain'])
    t.match((await ask('/get-prompt', { name: 'new__greet', arguments: { name: 'Ada' } })).json(), {
      messages: [{ content: { text: /Ada/ } }]
    })
    t.match((await ask('/get-prompt', { name: 'greet' })).json(), { code: 'MCPC_ERR_UNKNOWN_PROMPT' })
    t.match((await ask('/get-prompt', { name: 'old__none' })).json(), { code: 'MCPC_ERR_UNKNOWN_PROMPT' })
  }
)

t.test('a resource that two servers may mean is asked back for, however each of them lists it', async t => {
  const resource = (uri: string) => ({ uri, name: 'it' })
  const listing = async (uris: string[], templates: string[] | null) => {
    const { url } = await startAnsweringServer(t, {
      answers: {
        'resources/list': () => ({ resources: uris.map(resource) }),
        'resources/templates/list': () => {
          if (templates === null) throw new Refused(-32_000, 'no templates today')
          return { resourceTemplates: templates.map(uriTemplate => ({ uriTemplate, name: 'them' })) }
        },
        'resources/read': ({ uri }) => ({ contents: [{ uri, text: uris.join() }] })
      }
    })
    return { url }
  }
  const service = await build(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      one: await listing(['file:///a/b', 'file:///only', 'db://x/y'], []),
      two: await listing(['file:///a/b'], ['file:///a/{name}', 'db://{+path}']),
      three: await listing([], ['db://x/{name}', 'file:///three/{name}']),
      broken: await listing(['file:///broken'], null)
    })
  })
  const id = await initSession(service)
  const read = async (uri: string, server?: string) =>
    await post(service, '/read-resource', { session_id: id, uri, ...(server !== undefined && { server }) })
  for (const [uri, servers] of [
    ['file:///a/b', 'one and two'], // both list it
    ['db://x/y', 'one and two and three'], // one lists it, two have templates
    ['db://x/z', 'two and three'], // templates only
    ['db://x/{name}', 'two and three'] // a template itself, which another one's matches
  ] as const) {
    const response = await read(uri)
    t.strictSame(
      [response.statusCode, response.json().error], [400, `server must be given, for ${servers} may have this resource`]
    )
    t.equal((await read(uri, 'two')).statusCode, 200)
  }
  t.match((await read('file:///only')).json(), { contents: [{ text: /only/ }] })
  t.equal((await read('file:///three/x')).statusCode, 200)
  t.equal((await read('file:///broken')).statusCode, 200, 'a list that fails hides no other one')
})

t.test('what is missing is named', async t => {
  const { ask } = await start(t, { up: ['http-2025'] })
  t.match((await ask('/read-resource')).json(), { error: 'Missing session_id or uri' })
  t.match((await ask('/get-prompt')).json(), { error: 'Missing session_id or name' })
  t.match((await ask('/complete', { ref: { type: 'ref/prompt', name: 'greet' } })).json(), {
    error: 'Missing session_id, ref, or argument'
  })
  t.match((await ask('/complete', { ref: { type: 'other' }, argument: { name: 'a', value: '' } })).json(), {
    error: 'ref must be {"type":"ref/prompt","name"} or {"type":"ref/resource","uri"}'
  })
})
