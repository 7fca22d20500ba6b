import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { type Answering, Refused, startAnsweringServer } from '../support/answering-server.ts'
import { initSession, post, postTo } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen, serviceOn } from '../support/service.ts'

const token = 'header-of-ann.payload-of-ann.signature'
const apiUrl = 'https://ann.example.com/tenant'
const tenant = { key: 'tenant-key-of-ann' }
const env = { MCP_SENSITIVE_PARAMS: 'apiUrl,jwtToken,tenant', MCP_ELICITATION: 'on' }
const secret = /payload-of-ann|tenant-key-of-ann|operator-key-1/

const tools = ['act', 'ask'].map(name => ({ name, inputSchema: { type: 'object' } }))
const fails = (text: string) => ({ isError: true, content: [{ type: 'text', text }] })

async function start (answers: Answering['answers'], options: Omit<Answering, 'answers'> = {}) {
  const up = await startAnsweringServer(t, { ...options, answers: { 'tools/list': () => ({ tools }), ...answers } })
  const service = await serviceOn(t, { up: { url: up.url, headers: { 'x-key': 'Key operator-key-1' } } }, env)
  const id = await initSession(service, { jwtToken: token, apiUrl, tenant })
  return { service, id }
}

const follow = (service: FastifyInstance, payload: object) =>
  service.inject({ method: 'POST', url: '/call-tool', headers: { accept: 'text/event-stream' }, payload })

t.test('a tool that fails repeats no secret to its caller, in whatever form', async t => {
  const texts = [
    `bad token ${token}`,
    JSON.stringify({ error: { headers: { authorization: `Bearer ${token}` } } }),
    `GET https://x.example.com/?t=${encodeURIComponent(token)} failed`,
    `basic ${Buffer.from(token).toString('base64')}`,
    `tenant ${JSON.stringify(tenant)} is closed`,
    'the key operator-key-1 is not good',
    `cut off: ${token.slice(0, 30)}`
  ]
  let next = 0
  const { service, id } = await start({
    'tools/call': () => ({ ...fails(texts[next % texts.length] ?? ''), _meta: { seen: texts }, structuredContent: { texts } })
  })
  for (; next < texts.length; next++) {
    const response = await postTo(service, '/call-tool', { session_id: id, tool: 'act' })
    t.match(response.json(), { status: 'error', error: /\[hidden\]/ })
    t.notMatch(response.body, secret)
    const whole = await postTo(service, '/call-tool', { session_id: id, tool: 'act', result: 'mcp' })
    t.match(whole.json(), { isError: true, content: [{ text: /\[hidden\]/ }] })
    t.notMatch(whole.body, secret)
  }
})

t.test('addresses stay, and a result that did not fail is not altered', async t => {
  const text = `see ${apiUrl}/orders, opened with ${token}`
  let isError = true
  const { service, id } = await start({ 'tools/call': () => ({ ...fails(text), isError }) })
  const answer = async () => (await postTo(service, '/call-tool', { session_id: id, tool: 'act' })).json()
  t.strictSame(await answer(), { status: 'error', error: `see ${apiUrl}/orders, opened with [hidden]` })
  isError = false
  t.strictSame(await answer(), { result: text })
})

t.test('progress and log messages repeat no secret', async t => {
  const { service, id } = await start({
    'tools/call' (_, { message }, notify) {
      const { _meta: { progressToken } } = message.params as { _meta: { progressToken: number } }
      notify('notifications/progress', { progressToken, progress: 1, message: `with ${token} at ${apiUrl}` })
      notify('notifications/message', { level: 'info', data: { [token]: [tenant, `Bearer ${token}`] } })
      return { content: [] }
    }
  })
  const { body } = await follow(service, { session_id: id, tool: 'act' })
  t.match(body, /event: progress\ndata: .*"with \[hidden\] at https:\/\/ann\.example\.com\/tenant"/)
  t.match(body, /event: log\ndata: .*"data":\{"\[hidden\]":\[\{"key":"\[hidden\]"\},"Bearer \[hidden\]"\]\}/)
  t.notMatch(body, secret)
})

const question = (params: object) => ({
  resultType: 'input_required', inputRequests: { one: { method: 'elicitation/create', params } }
})
const form = (message: string) => question({ mode: 'form', message, requestedSchema: { type: 'object', properties: {} } })
const visit = (url: string, name = 'one') => ({
  resultType: 'input_required',
  inputRequests: { [name]: { method: 'elicitation/create', params: { mode: 'url', url, message: 'visit', elicitationId: 'e' } } }
})

t.test('a question repeats no secret, and one that would lead elsewhere without it is refused', async t => {
  let answer: object = {}
  const { service, id } = await start({
    'tools/call': () => answer,
    'resources/read': () => answer,
    'prompts/list': () => ({ prompts: [{ name: 'hello' }] }),
    'prompts/get': () => answer
  }, { era: '2026' })
  for (const [path, fields] of [
    ['/call-tool', { tool: 'ask' }], ['/read-resource', { uri: 'a://b' }], ['/get-prompt', { name: 'hello' }]
  ] as const) {
    const ask = (given: object) => {
      answer = given
      return postTo(service, path, { session_id: id, ...fields })
    }
    const asked = await ask(form(`is ${token} yours?`))
    t.equal(asked.statusCode, 202, asked.body)
    t.match(asked.json(), { requests: [{ id: 'one', params: { message: 'is [hidden] yours?' } }] })
    t.equal((await ask(visit(`${apiUrl}/login?next=/`))).statusCode, 202)
    for (const refused of [
      visit(`https://x.example.com/?t=${token}`),
      visit(`https://x.example.com/?t=${encodeURIComponent(JSON.stringify(tenant))}`),
      visit(`https://x.example.com/#${Buffer.from(token).toString('base64url')}`),
      visit('https://x.example.com/', `id of ${token}`)
    ]) {
      const response = await ask(refused)
      t.equal(response.statusCode, 502, response.body)
      t.match(response.json(), { code: 'MCPC_ERR_MCP_CALL', error: /a secret in an address or in the name of a question/ })
      t.notMatch(response.body, secret)
    }
  }
})

t.test('a question of the older eras is masked and refused alike', async t => {
  let url = ''
  const { service, id } = await start({
    'tools/call' () {
      throw new Refused(-32_042, 'visit', { elicitations: [{ mode: 'url', elicitationId: 'e', url, message: token }] })
    }
  })
  const ask = async (at: string) => {
    url = at
    return await postTo(service, '/call-tool', { session_id: id, tool: 'ask' })
  }
  const asked = await ask(`${apiUrl}/login`)
  t.match(asked.json(), { requests: [{ params: { url: `${apiUrl}/login`, message: '[hidden]' } }] })
  t.equal((await ask(`https://x.example.com/${token}`)).statusCode, 502)
})

t.test('what is masked can be said', async t => {
  const up = await startAnsweringServer(t, {
    answers: { 'tools/list': () => ({ tools }), 'tools/call': () => fails(`${token} ${apiUrl} ${tenant.key}`) }
  })
  const service = await serviceOn(t, { up: { url: up.url } }, { ...env, MCP_MASKED_PARAMS: 'apiUrl' })
  const id = await initSession(service, { jwtToken: token, apiUrl, tenant })
  const response = await postTo(service, '/call-tool', { session_id: id, tool: 'act' })
  t.strictSame(response.json(), { status: 'error', error: `[hidden] [hidden] ${tenant.key}` })
})

t.test('a failure that quotes what the caller sent is logged without its words', async t => {
  const diagnosis = 'diagnosis of ann: something rare'
  const { url } = await startAnsweringServer(t, {
    answers: {
      'tools/list': () => ({ tools }),
      'tools/call' ({ arguments: { text } }) { throw new Refused(-32_600, text === undefined ? 'the disk is full' : `cannot parse ${text}`) },
      'resources/read' ({ uri }) { throw new Refused(-32_000, `cannot read ${uri}`) },
      'prompts/list': () => ({ prompts: [{ name: 'hello' }] }),
      'prompts/get' ({ arguments: { who } }) { throw new Refused(-32_000, `no ${who}`) }
    }
  })
  const MCP_SERVERS_FILE = await serversFile(t, { up: { url } })
  for (const level of ['info', 'debug']) {
    const service = await listen(t, { MCP_SERVERS_FILE, MCP_LOG_LEVEL: level })
    const session = { session_id: 's', apiUrl, jwtToken: token }
    t.equal((await post(`${service.url}/init`, session)).status, 200)
    for (const [path, body] of [
      ['/call-tool', { tool: 'act', params: { text: diagnosis } }],
      ['/call-tool', { tool: 'act', params: { text: diagnosis.slice(0, 12) } }],
      ['/read-resource', { uri: `file:///${encodeURI(diagnosis)}` }],
      ['/get-prompt', { name: 'hello', arguments: { who: diagnosis } }]
    ] as const) t.equal((await post(service.url + path, { ...session, ...body })).status, 502)
    t.equal((await post(`${service.url}/call-tool`, { ...session, tool: 'act' })).status, 502)

    const log = service.output()
    t.match(log, /"code":"MCPC_ERR_MCP_CALL","statusCode":502,"route":"\/read-resource","quotesCaller":true/)
    t.match(log, /the disk is full/, 'a sentence that quotes nobody is logged')
    if (level === 'info') t.notMatch(log, /diagnosis/)
    else t.match(log, /cannot parse diagnosis of ann/)
    await service.close()
  }
})
