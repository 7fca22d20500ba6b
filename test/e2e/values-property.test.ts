import fc from 'fast-check'
import t from 'tap'
import { jwtToken } from '../support/credentials.ts'
import { initSession } from '../support/requests.ts'
import { startValuesServers, type ValuesServers, type ValuesTool } from '../support/values-servers.ts'

/*
 * Random tools, policies and histories of calls. Every value is another one, so that an argument that a tool gets tells
 * where it came from: it must be the caller's, the operator's, a credential that the tool declares and its server may
 * have, or a value that the policy lets fill it.
 */
const names = ['a', 'b', 'c']
const serverNames = ['one', 'two', 'three']
const numRuns = Number(process.env.VALUES_RUNS ?? 15)

type Values = 'chain' | 'none' | undefined | { keep?: string, fill?: string, from?: string[] }
interface Tool {
  declared: string[]
  required: string[]
  gives: string[]
  isText: boolean
  fails: boolean
  fixed: string[]
}
interface Server { values: Values, credentials: boolean, tools: [Tool, Tool] }
interface Step { kind: 'call' | 'put', server: number, tool: 0 | 1, sent: string[], inject: boolean | string[] }

const some = (of: string[] = names) => fc.subarray(of)
const rarely = <Value>(usual: Value, other: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other })
const tool: fc.Arbitrary<Tool> = fc.record({
  declared: fc.oneof(fc.constant(names), some([...names, 'jwtToken'])),
  required: some(),
  gives: some(),
  isText: rarely(false, fc.constant(true)),
  fails: rarely(false, fc.constant(true)),
  fixed: rarely<string[]>([], some())
})
const values: fc.Arbitrary<Values> = fc.oneof(
  fc.constantFrom<Values>('chain', 'chain', 'none', undefined),
  fc.record({
    keep: fc.constantFrom('parameters', 'results', 'both', 'neither'),
    fill: fc.constantFrom('declared', 'required', 'none'),
    from: some([...serverNames, 'caller'])
  }, { requiredKeys: ['keep'] })
)
const server: fc.Arbitrary<Server> = fc.record({ values, credentials: fc.boolean(), tools: fc.tuple(tool, tool) })
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step['kind']>('call', 'call', 'call', 'put'),
  server: fc.nat(2),
  tool: fc.constantFrom<0 | 1>(0, 1),
  sent: fc.subarray([...names, 'jwtToken', 'undeclared'], { maxLength: 2 }),
  inject: rarely<boolean | string[]>(true, fc.oneof(fc.constant(false), some()))
})

const numbered = (listed: string[], next: () => number) => Object.fromEntries(listed.map(name => [name, next()]))

/** What a policy says, written a second time and in another way than the service does. */
function meaningOf (values: Values, server: string) {
  if (values === 'chain') return { parameters: true, results: true, fill: 'declared', from: [server, 'caller'] }
  const { keep = 'neither', fill = 'none', from = [server] } = typeof values === 'object' ? values : {}
  return { parameters: /parameters|both/.test(keep), results: /results|both/.test(keep), fill, from }
}

t.test('each argument of a tool is somebody\'s who may give it', async t => {
  const { app, change, post, upstream } = await startValuesServers(t, { one: { tools: [] } }, {
    MCP_VALIDATE_ARGUMENTS: 'off'
  })
  let counted = 0
  let filledTimes = 0
  const next = () => ++counted

  async function run (servers: Server[], steps: Step[]): Promise<void> {
    const fixedValues = new Map<string, number>()
    const toolsOf = ({ tools }: Server) => tools.map((tool, index) => describe(tool, `t${index}`))
    const describe = ({ declared, required, gives, isText, fails }: Tool, name: string): ValuesTool => ({
      name,
      inputSchema: {
        properties: Object.fromEntries(declared.map(name => [name, {}])),
        required: required.filter(name => declared.includes(name))
      },
      gives: isText ? {} : { status: 'success', ...numbered(gives, next) },
      fails
    })
    const toolLists = servers.map(toolsOf)
    await change(Object.fromEntries(servers.map(({ values, credentials, tools }, index) => {
      const name = serverNames[index] ?? ''
      const fixed = Object.fromEntries(tools.map(({ fixed }, tool) => [`t${tool}`, {
        arguments: Object.fromEntries(fixed.map(argument => {
          const value = next()
          fixedValues.set(`${index} ${tool} ${argument}`, value)
          return [argument, value]
        }))
      }]))
      const entry = { ...(values && { values }), ...(credentials && { credentials: ['jwtToken'] }), tools: fixed }
      return [name, { entry, tools: toolLists[index] ?? [] }]
    })) as ValuesServers)

    /** Every value that may fill a call, by its origin and name. */
    const kept = new Map<unknown, { origin: string, name: string }>()
    const initial = numbered(names, next)
    for (const [name, value] of Object.entries(initial)) kept.set(value, { origin: 'caller', name })
    const session = await initSession(app, initial)

    for (const { kind, server: index, tool: number, sent, inject } of steps) {
      const params: Record<string, unknown> = numbered(sent, next)
      if (kind === 'put') {
        const { jwtToken: _, ...own } = params
        await app.inject({ method: 'PUT', url: '/session/values', headers: { 'x-session-id': session }, payload: own })
        for (const [name, value] of Object.entries(own)) kept.set(value, { origin: 'caller', name })
        continue
      }
      const [origin = '', server, listed] = [serverNames[index], servers[index], toolLists[index]?.[number]]
      const tool = server?.tools[number]
      if (server === undefined || tool === undefined || listed === undefined) throw new Error('no tool')
      const { parameters, results, fill, from } = meaningOf(server.values, origin)
      const mayHaveToken = server.values === 'chain' ? true : server.credentials
      const declaresToken = tool.declared.includes('jwtToken')
      // What a tool that fails repeats of it is masked.
      const tokenShown = tool.fails ? '[hidden]' : jwtToken
      const response = await post(session, `${origin}__t${number}`, params, { inject, result: 'mcp' })
      if (declaresToken && !mayHaveToken) {
        if (response.statusCode !== 409) throw new Error(`a credential went to ${origin}`)
        continue
      }
      if (response.statusCode !== 200) throw new Error(response.body)
      const { _meta: { received } } = response.json<{ _meta: { received: Record<string, unknown> } }>()

      const explained = new Set<string>()
      for (const [name, value] of Object.entries(received)) {
        const value_ = kept.get(value)
        const isFilled = value_ !== undefined && value_.name === name && from.includes(value_.origin) &&
          tool.declared.includes(name) && !(name in params) &&
          (fill === 'declared' || (fill === 'required' && tool.required.includes(name))) &&
          (typeof inject === 'boolean' ? inject : inject.includes(name))
        if (isFilled) filledTimes++
        const isExplained = tool.fixed.includes(name)
          ? value === fixedValues.get(`${index} ${number} ${name}`)
          : name === 'jwtToken' ? declaresToken && value === tokenShown : params[name] === value || isFilled
        if (!isExplained) throw new Error(`${origin} t${number} got ${name}: ${String(value)}`)
        explained.add(name)
      }
      for (const name of Object.keys(params).filter(name => name !== 'jwtToken' && !tool.fixed.includes(name))) {
        if (!explained.has(name)) throw new Error(`${name} of the caller is missing`)
      }
      if (parameters) {
        for (const [name, value] of Object.entries(params)) {
          if (name !== 'jwtToken' && !tool.fixed.includes(name)) kept.set(value, { origin, name })
        }
      }
      if (results && !tool.fails) {
        for (const [name, value] of Object.entries(listed.gives ?? {})) kept.set(value, { origin, name })
      }
    }
  }

  await fc.assert(fc.asyncProperty(
    fc.tuple(server, server, server), fc.array(step, { minLength: 6, maxLength: 14 }), run
  ), { numRuns })
  t.ok(filledTimes > 20, `${filledTimes} arguments were filled in`)
  t.ok(((await upstream.stats()).methods['tools/call'] ?? 0) > numRuns)
})
