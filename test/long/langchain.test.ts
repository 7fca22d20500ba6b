import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { provideNpmPackages } from '../support/npm-packages.ts'
import { root } from '../support/paths.ts'
import { openSession } from '../support/requests.ts'
import { listen } from '../support/service.ts'
import { serversFile } from '../support/servers-file.ts'

t.setTimeout(300_000)

const versions = { '@langchain/classic': '1.0.50', '@langchain/core': '1.4.0' }
const { resolve } = createRequire(import.meta.url)
/** The steps of docs/clients.md. */
const [, steps = ''] = /## LangChain\n.*?```js\n(.*?)```/s.exec(readFileSync(join(root, 'docs', 'clients.md'), 'utf8')) ?? []

/** In the place of a model, which would say such sentences: it looks into the document, and calls a tool. */
const model = `
import { SimpleChatModel } from '@langchain/core/language_models/chat_models'

class Model extends SimpleChatModel {
  _llmType () { return 'scripted' }
  async _call () { return sentences.shift() }
}
const llm = new Model({})
`

t.test('the steps with LangChain in docs/clients.md call a tool that its agent found in the document', async t => {
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      everything: {
        command: process.execPath,
        args: [resolve('@modelcontextprotocol/server-everything/dist/index.js'), 'stdio'],
        lifecycle: 'shared',
        values: 'none'
      }
    })
  })
  const session = await openSession(service)
  const { folder, run } = await provideNpmPackages(t, 'langchain', versions)
  const sentences = [
    'Action: json_explorer\nAction Input: How is a sum made?',
    'Action: json_list_keys\nAction Input: /paths',
    'Action: json_get_value\nAction Input: /paths/~1tools~1get-sum/post/requestBody/content/application~1json',
    'Final Answer: POST /tools/get-sum',
    `Action: requests_post\nAction Input: ${JSON.stringify({ url: `${service.url}/tools/get-sum`, data: { a: 2, b: 3 } })}`,
    'Final Answer: 5'
  ].map(sentence => `Thought: I go on.\n${sentence}`)
  await writeFile(join(folder, 'steps.mjs'), `
${model}
const sentences = ${JSON.stringify(sentences)}
const url = ${JSON.stringify(service.url)}
${steps.replace('demo-1', session)}
const result = await agent.invoke({ input: 'What is 2 and 3?' })
process.stdout.write(JSON.stringify({ left: sentences.length, spec, result }))
`)
  const { left, spec, result } = JSON.parse(await run(null, 'steps.mjs')) as {
    left: number
    spec: { servers: unknown }
    result: { output: string, intermediateSteps: Array<{ action: { tool: string }, observation: string }> }
  }
  t.equal(left, 0, 'each sentence was wanted')
  t.strictSame(spec.servers, [{ url: service.url }], 'the agent knows where the paths are')
  t.equal(result.output, '5')
  t.strictSame(result.intermediateSteps.map(({ action }) => action.tool), ['json_explorer', 'requests_post'])
  t.match(result.intermediateSteps[1]?.observation, /The sum of 2 and 3 is 5/)
})
