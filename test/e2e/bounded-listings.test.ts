import t, { type Test } from 'tap'
import { startAnsweringServer } from '../support/answering-server.ts'
import { cases } from '../support/cases.ts'
import { redisClient } from '../support/redis.ts'
import { initSession, postTo } from '../support/requests.ts'
import { resultText, startScripted, transports } from '../support/scripted-server.ts'
import { serviceOn } from '../support/service.ts'

const lists = {
  '/tools': { method: 'tools/list', list: 'tools', what: 'tools', item: { name: 'fine', inputSchema: { type: 'object' } } },
  '/resources': { method: 'resources/list', list: 'resources', what: 'resources', item: { uri: 'a://b', name: 'fine' } },
  '/resource-templates': {
    method: 'resources/templates/list',
    list: 'resourceTemplates',
    what: 'resource templates',
    item: { uriTemplate: 'a://{b}', name: 'fine' }
  },
  '/prompts': { method: 'prompts/list', list: 'prompts', what: 'prompts', item: { name: 'fine' } }
}

t.test('a template that is made to last costs the other servers nothing', async t => {
  const hostile = await startAnsweringServer(t, {
    answers: {
      'resources/list': () => ({ resources: [] }),
      'resources/templates/list': () => ({
        resourceTemplates: Array.from({ length: 50 }, (_, index) =>
          ({ name: `t${index}`, uriTemplate: `note://${'{+x}'.repeat(11 + index)}!` }))
      })
    }
  })
  const good = await startAnsweringServer(t, {
    answers: {
      'resources/list': () => ({ resources: [] }),
      'resources/templates/list': () => ({ resourceTemplates: [{ name: 'note', uriTemplate: 'note://{id}' }] }),
      'resources/read': ({ uri }) => ({ contents: [{ uri, text: 'well' }] })
    }
  })
  const app = await serviceOn(t, { hostile: { url: hostile.url }, good: { url: good.url } })
  const session = await initSession(app)
  const uri = `note://${'a'.repeat(8_000)}`

  const response = await postTo(app, '/read-resource', { session_id: session, uri })

  t.equal(response.statusCode, 200, response.body)
  t.strictSame(response.json(), { contents: [{ uri, text: 'well' }] })
})

for (const [path, { method, list, what, item }] of cases(Object.entries(lists), 4)) {
  t.test(`${path}: a list without end is given up at its bound, and for a while, and the others' lists come`, async t => {
    let asked = 0
    const hostile = await startAnsweringServer(t, {
      answers: { [method]: () => ({ [list]: [{ ...item, description: 'x'.repeat(1_000) }], nextCursor: `page ${asked++}` }) }
    })
    const good = await startAnsweringServer(t, { answers: { [method]: () => ({ [list]: [item] }) } })
    const bounds = { MCP_MAX_LIST_BYTES: '20000' }
    const app = await serviceOn(t, { hostile: { url: hostile.url }, good: { url: good.url } }, bounds)
    const session = await initSession(app)
    const sentence =
      `MCP server hostile broke off the list of ${what}: it is longer than MCP_MAX_LIST_BYTES, 20000 bytes`

    const response = await postTo(app, path, { session_id: session })

    t.equal(response.statusCode, 200)
    const body = response.json<Record<string, unknown>>()
    t.equal((body[list] as unknown[]).length, 1)
    t.strictSame(body.errors, { hostile: sentence })
    t.ok(asked < 25, `${asked} pages`)

    const alone = await serviceOn(t, { hostile: { url: hostile.url } }, bounds)
    const failed = await postTo(alone, path, { session_id: await initSession(alone) })
    t.match(failed, { statusCode: 502 })
    t.match(failed.json(), { code: 'MCPC_ERR_MCP_CALL', error: sentence, retryable: false })

    // Whose list it is, shows with the first answer of a server.
    await postTo(alone, path, { session_id: await initSession(alone) })
    const before = asked
    const again = await postTo(alone, path, { session_id: await initSession(alone) })
    t.match(again.json(), { code: 'MCPC_ERR_MCP_CALL', error: new RegExp(`^${sentence}, and is asked again in \\d+ s$`) })
    t.equal(asked, before, 'no megabyte of it is read again at once')
  })
}

t.test('a list of more items than a list may have is given up, over each transport, and is not remembered', async t => {
  for (const transport of transports) {
    const tools = Array.from({ length: 11 }, (_, index) => ({ name: `tool${index}`, inputSchema: { type: 'object' } }))
    const { entry, play } = await startScripted(t, transport, { 'tools/list': resultText(JSON.stringify({ tools })) })
    const app = await serviceOn(t, { up: entry }, { MCP_MAX_LIST_ITEMS: '10', MCP_FAILING_TTL: '0' })
    const session = await initSession(app)

    const response = await postTo(app, '/tools', { session_id: session })
    t.equal(response.statusCode, 502)
    t.equal(response.json().error, 'MCP server up broke off the list of tools: it has more than MCP_MAX_LIST_ITEMS, 10 items')
    const call = await postTo(app, '/call-tool', { session_id: session, tool: 'tool1', params: {} })
    t.equal(call.statusCode, 502, 'whose tools are not known')

    await play({ 'tools/list': resultText(JSON.stringify({ tools: tools.slice(1) })) })
    t.equal((await postTo(app, '/tools', { session_id: session })).json().tools.length, 10)
  }
})

const leftOut = 'its instructions are left out: they are longer than MCP_MAX_INSTRUCTIONS_BYTES'
const tools = [{ name: 'fine', inputSchema: { type: 'object' } }]

/** The handshake of each era, with instructions and whatever else a server may say in it. */
const handshakes = {
  2025: (instructions: string) => ({
    initialize: resultText(JSON.stringify({
      protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' }, instructions
    }))
  }),
  2026: (instructions: string) => ({
    'server/discover': resultText(JSON.stringify({
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {}, experimental: { noise: 'n'.repeat(5_000) } },
      serverInfo: { name: 's', version: '1', noise: 'n'.repeat(5_000) },
      instructions,
      noise: 'n'.repeat(5_000)
    })),
    'tools/list': resultText(JSON.stringify({ tools }))
  })
}

/** All that the service has in Redis. */
async function storedBy (t: Test, { config: { session: { keyPrefix } } }: Awaited<ReturnType<typeof serviceOn>>) {
  const redis = await redisClient(t)
  const [sessions, eras] = [await redis.keys(`${keyPrefix}:*`), await redis.keys(`mcp_era:${keyPrefix}:*`)]
  const fields = await Promise.all(sessions.map(async key => Object.entries(await redis.hgetall(key))))
  return { eras: await Promise.all(eras.map(async key => await redis.get(key) ?? '')), text: JSON.stringify(fields) }
}

for (const transport of cases(transports, 2)) {
  for (const [era, handshake] of Object.entries(handshakes)) {
    t.test(`instructions that are too long are left out everywhere, and named: ${era} over ${transport}`, async t => {
      for (const instructions of ['x'.repeat(1_001), '€'.repeat(334)]) {
        const { entry } = await startScripted(t, transport, handshake(instructions))
        const app = await serviceOn(t, { up: entry }, { MCP_MAX_INSTRUCTIONS_BYTES: '1000', MCP_TOOLS_CACHE_TTL: '0' })
        const session = await initSession(app)
        // The second time, all is known that is kept.
        for (let times = 0; times < 2; times++) {
          const response = await postTo(app, '/tools', { session_id: session })
          t.equal(response.statusCode, 200, response.body)
          t.match(response.json(), { workflow_guidance: { instructions: {} }, warnings: { up: [leftOut] } })
          t.notMatch(response.body, /x{100}|€{100}/)
        }
        const { eras, text } = await storedBy(t, app)
        t.notMatch(text, /x{100}|€{100}/)
        for (const stored of eras) t.ok(stored.length < 200, stored)
      }
    })

    t.test(`instructions that are as long as they may be are shown: ${era} over ${transport}`, async t => {
      const { entry } = await startScripted(t, transport, handshake('x'.repeat(1_000)))
      const app = await serviceOn(t, { up: entry }, { MCP_MAX_INSTRUCTIONS_BYTES: '1000', MCP_TOOLS_CACHE_TTL: '0' })
      const session = await initSession(app)
      for (let times = 0; times < 2; times++) {
        const body = (await postTo(app, '/tools', { session_id: session })).json()
        t.strictSame(body.workflow_guidance, { instructions: { up: 'x'.repeat(1_000) } })
        t.notOk('warnings' in body)
      }
    })
  }
}

t.test('instructions that a server has for each user are bounded, too', async t => {
  const { entry } = await startScripted(t, 'http', handshakes['2026']('x'.repeat(1_001)))
  const personal = { ...entry, headers: { authorization: 'Bearer ${session.jwtToken}' } } // eslint-disable-line no-template-curly-in-string -- a placeholder
  const app = await serviceOn(t, { up: personal }, { MCP_MAX_INSTRUCTIONS_BYTES: '1000' })
  const response = await postTo(app, '/tools', { session_id: await initSession(app) })
  t.match(response.json(), { workflow_guidance: { instructions: {} }, warnings: { up: [leftOut] } })
})
