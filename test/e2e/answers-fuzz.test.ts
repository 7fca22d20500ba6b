import fc from 'fast-check'
import t from 'tap'
import { call, initSession, postTo } from '../support/requests.ts'
import { resultText, type ScriptedServer, startScripted, transports } from '../support/scripted-server.ts'
import { serviceOn } from '../support/service.ts'

/*
 * Answers that no two servers give alike: valid messages whose optional fields are null, missing, of another type,
 * unknown, or in another order, written in pieces that are split at any byte. A direct reader of JSON could use each.
 */

/** How many times the short form of the runs. */
const times = Number(process.env.FUZZ_ANSWERS ?? 1)
const runs = { stdio: 10 * times, http: 40 * times }

/** JSON texts with digits that a double cannot hold. */
const number = fc.constantFrom('0', '-0.0', '7', '1915883588174806058', '12345678901234567890', '1e400', '1.50', '2E+2')
const string = fc.string({ unit: 'binary', maxLength: 12 }).map(text => JSON.stringify(text))
const name = fc.stringMatching(/^[a-z]{1,6}$/)
const { json } = fc.letrec<{ json: string }>(tie => ({
  json: fc.oneof({ maxDepth: 3 }, number, string, fc.constantFrom('null', 'true', 'false', '[ ]', '{}'),
    fc.array(tie('json'), { maxLength: 3 }).map(items => `[${items.join(' , ')}]`),
    fc.dictionary(name, tie('json'), { maxKeys: 3 }).map(objectOf))
}))

function objectOf (members: Record<string, string>): string {
  return `{${Object.entries(members).map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(', ')}}`
}

/** Members that say nothing, in any form: a name that is absent in a run has no text. */
const optional = (forms: Record<string, string[]>) => fc.record(
  Object.fromEntries(Object.entries(forms).map(([name, texts]) => [name, fc.constantFrom(...texts)])),
  { requiredKeys: [] }
)
const unknown = fc.dictionary(name.map(name => `x-${name}`), json, { maxKeys: 3 })

const inResult = optional({
  _meta: ['null', '{}', '{"n":1e400}', '"text"'],
  isError: ['null', 'false', '"no"', '0'],
  resultType: ['null', '"complete"', '7'],
  ttlMs: ['null', '"soon"']
})
const inMessage = optional({ jsonrpc: ['"2.0"', '2.0', 'null'], error: ['null', '{}'] })
const inBlock = optional({ annotations: ['null', '{}', '[1]'], _meta: ['null', '{"a":1}'] })
const ids = fc.constantFrom('$ID', '"$ID"', '$ID.0', 'null', '"another"')

/** What a tool answers, and the body that its caller must get. */
const results = fc.oneof(
  fc.tuple(json, inBlock).map(([text, block]) => ({
    members: { content: `[${objectOf({ type: '"text"', text: JSON.stringify(text), ...block })}]` }, body: text
  })),
  fc.tuple(json.filter(text => text !== 'null'), fc.constantFrom('[]', 'null')).map(([text, content]) => ({
    members: { structuredContent: text, content }, body: text
  })),
  fc.tuple(fc.array(json, { minLength: 2, maxLength: 4 }), fc.constantFrom({}, { structuredContent: 'null' })).map(
    ([blocks, more]) => ({ members: { content: `[${blocks.join(',')}]`, ...more }, body: `{"content":[${blocks.join(',')}]}` })
  ),
  string.map(text => `"not JSON: ${text.slice(1)}`).map(text => ({
    members: { content: `[{"text":${text},"type":"text"}]` }, body: `{"result":${text}}`
  }))
)

const shuffled = (members: Record<string, string>) => {
  const entries = Object.entries(members)
  return fc.shuffledSubarray(entries, { minLength: entries.length, maxLength: entries.length })
    .map(entries => objectOf(Object.fromEntries(entries)))
}

/** A message as it is written: with what may stand around it, and in pieces that are split at any byte. */
const framed = (message: string) => fc.record({
  writes: fc.tuple(fc.constantFrom('', '\ufeff', ' '), fc.constant(message), fc.constantFrom('', '\r', '  ')),
  cuts: fc.array(fc.nat(), { maxLength: 4 })
})

const answers = fc.tuple(results, inResult, unknown, inMessage, ids).chain(
  ([{ members, body }, fields, more, message, id]) => shuffled({ ...more, ...fields, ...members })
    .chain(result => shuffled({ jsonrpc: '"2.0"', ...message, id, result }))
    .chain(framed)
    .map(answer => ({ answer, body })))

/** A tool that can be used: with a name, and a schema in any form. */
const tools = fc.uniqueArray(fc.tuple(name, optional({
  inputSchema: [
    'null', '{}', '{"type":"object","required":null}', '{"properties":{"n":{"maximum":12345678901234567890}}}'
  ],
  description: ['null', '"does it"', '7'],
  annotations: ['null', '{"readOnlyHint":true}'],
  outputSchema: ['null', '{}', '7']
}), unknown), { selector: ([name]) => name, maxLength: 5 })
const oddItems = fc.array(fc.constantFrom('null', '7', '"text"', '[]', '{}', '{"title":"no name"}', '{"name":null}', '{"name":""}'), {
  maxLength: 3
})
const listings = fc.tuple(tools, oddItems, fc.infiniteStream(fc.boolean())).map(([tools, odd, mixed]) => {
  const good = tools.map(([name, fields, more]) => objectOf({ name: JSON.stringify(name), ...fields, ...more }))
  const left = [...odd]
  const items = good.flatMap(item => mixed.next().value && left.length > 0 ? [left.pop() ?? '', item] : [item])
  return { items: [...items, ...left], names: tools.map(([name]) => name), odd: odd.length }
})

interface Listing { tools: Array<{ name: string }>, warnings?: Record<string, string[]> }

for (const transport of transports) {
  t.test(`answers over ${transport}`, async t => {
    const server = await startScripted(t, transport)
    const service = await serviceOn(t, { up: server.entry }, { MCP_TOOLS_CACHE_TTL: '0' })
    const session = await initSession(service)

    await t.test('a result in any form is passed on to the character', async () => {
      await fc.assert(fc.asyncProperty(answers, async ({ answer, body }) => {
        await server.play({ 'tools/call': answer })
        const response = await call(service, session, 'echo')
        equal(response.statusCode, 200, response.body)
        equal(response.body, body)
      }), { numRuns: runs[transport] })
    })

    await t.test('a list with items in any form has all that can be used', async () => {
      await fc.assert(fc.asyncProperty(listings, async ({ items, names, odd }) => {
        await play(server, `[${items.join(',')}]`)
        const response = await postTo(service, '/tools', { session_id: session })
        equal(response.statusCode, 200, response.body)
        const { tools, warnings = {} } = response.json<Listing>()
        equal(JSON.stringify(tools.map(({ name }) => name)), JSON.stringify(names))
        equal(Object.values(warnings).flat().length, odd)
        for (const digits of items.join(',').match(/\b\d{17,}\b/g) ?? []) equal(response.body.includes(digits), true)
      }), { numRuns: Math.ceil(runs[transport] / 2) })
    })

    await t.test('an answer that nobody can use ends the call at once', async () => {
      const useless = fc.tuple(fc.constantFrom('null', '7', '"well"', '[]', 'true'), inMessage, unknown)
      await fc.assert(fc.asyncProperty(useless, async ([result, message, more]) => {
        await server.play({ 'tools/call': objectOf({ jsonrpc: '"2.0"', ...message, id: '$ID', result, ...more }) })
        const response = await call(service, session, 'echo')
        equal(response.statusCode, 502, response.body)
        equal(response.json<{ acted: string }>().acted, 'unknown')
      }), { numRuns: Math.ceil(runs[transport] / 4) })
    })
  })
}

const play = (server: ScriptedServer, tools: string) => server.play({ 'tools/list': resultText(`{"tools":${tools}}`) })

/** Throws, so that fast-check shrinks to the smallest answer that fails. */
function equal (found: unknown, wanted: unknown, more = ''): void {
  if (found !== wanted) throw new Error(`found ${String(found)}\nwanted ${String(wanted)}\n${more}`)
}
