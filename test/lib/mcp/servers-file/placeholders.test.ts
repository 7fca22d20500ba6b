/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseTemplate, parseUrlTemplate } from '../../../../lib/mcp/servers-file/template.ts'
import { makeFolder } from '../../../support/folders.ts'

const host = { API_KEY: 'k&y=1', lower_case: 'low', EMPTY: '', BASE: 'https://mcp.example.com' }
const options = { server: 'weather', field: 'env.KEY', sensitiveParams: ['jwtToken'] }
const parse = (text: string, environment: Record<string, string | undefined> = host) =>
  parseTemplate(text, environment, options)
const refusal = (rule: string) =>
  ({ code: 'MCPC_ERR_CONFIG', message: `MCP_SERVERS_FILE: server "weather": env.KEY ${rule}` })

t.test('placeholders of other hosts are filled in where they mean what ours mean', async t => {
  const cases: Array<[text: string, filled: string]> = [
    ['${API_KEY}', 'k&y=1'],
    ['${env:API_KEY}', 'k&y=1'],
    ['${env.API_KEY}', 'k&y=1'],
    ['Bearer ${API_KEY}, ${env:lower_case}, ${lower_case}', 'Bearer k&y=1, low, low'],
    ['${API_KEY:-other}', 'k&y=1'],
    ['${UNSET:-other}', 'other'],
    ['${UNSET:-}', ''],
    ['${EMPTY:-other}', 'other'],
    ['${env.UNSET:-a b:-c}', 'a b:-c'],
    ['${env:UNSET:-$other}', '$other'],
    ['${UNSET:-https://mcp.example.com/a?b=c}/mcp', 'https://mcp.example.com/a?b=c/mcp'],
    ['$${API_KEY} and $${input:x}', '${API_KEY} and ${input:x}'],
    ['$API_KEY %API_KEY% $(API_KEY) {API_KEY} ~', '$API_KEY %API_KEY% $(API_KEY) {API_KEY} ~']
  ]
  for (const [text, filled] of cases) t.equal(parse(text).fill({}), filled, text)
  t.equal(parse('${session.jwtToken}').fill({ jwtToken: 'a.b.c' }), 'a.b.c')
})

t.test('what a variable holds is masked, in whatever form it is named; a default is a text like any other', async t => {
  for (const text of ['${API_KEY}', '${env:API_KEY}', '${API_KEY:-other}']) {
    t.strictSame(new Set(parse(text).operatorValues()), new Set(['k&y=1']), text)
  }
  t.strictSame(parse('${UNSET:-other}').operatorValues(), [])
  t.not(JSON.stringify(parse('${UNSET:-a}').content()), JSON.stringify(parse('${UNSET:-b}').content()))
})

t.test('a variable that is not set makes the entry faulty, and one that is known to be a name is named', async t => {
  for (const text of ['${UNSET}', '${env:UNSET}', '${env.UNSET}']) {
    t.throws(() => parse(text), refusal('needs the variable UNSET, which is not set'), text)
  }
  t.throws(() => parse('${EMPTY}'), refusal('needs the variable EMPTY, which is not set'))
  for (const name of ['canary', 'Canary', '_c4nary', '__proto__', 'constructor', 'toString']) {
    const rule = 'holds a ${…} for a variable, which is not set; write $${ for one that is meant as it is'
    t.throws(() => parse(`pa\${${name}}ss`), refusal(rule), name)
  }
  for (const name of ['constructor', '__proto__', 'hasOwnProperty']) {
    t.throws(() => parse(`\${env.${name}}`), refusal(`needs the variable ${name}, which is not set`), name)
  }
})

t.test('a variable may be in a file, and a default does not stand for a file that cannot be used', async t => {
  const folder = await makeFolder(t)
  writeFileSync(join(folder, 'key'), 'from-a-file\n')
  const here = (name: string) => ({ KEY_FILE: join(folder, name) })
  for (const text of ['${KEY}', '${env:KEY}', '${KEY:-other}']) t.equal(parse(text, here('key')).fill({}), 'from-a-file')
  t.throws(() => parse('${KEY:-other}', here('nowhere')), { message: /env\.KEY needs the variable KEY, and KEY_FILE/ })
})

t.test('what a person would type, or an editor fill in, is refused with what to write instead', async t => {
  const input = 'holds an ${input:…}, which a person would type; write ${env.NAME} for a variable of the service, ' +
    'or ${session.NAME} for a credential of the session'
  for (const text of ['${input:canary}', 'Bearer ${input:can ary}', '${input:}']) {
    t.throws(() => parse(text), refusal(input), text)
  }
  const path = 'write the path itself: a relative cwd counts from the folder of the file'
  for (const name of ['workspaceFolder', 'workspaceFolderBasename', 'pathSeparator']) {
    const rule = `holds \${${name}}, which only an editor can fill in; ${path}`
    t.throws(() => parse(`\${${name}}/canary`), refusal(rule), name)
  }
  t.throws(() => parse('${userHome}/a'), refusal('holds ${userHome}, which only an editor can fill in; write ${env.HOME}'))
  t.equal(parse('${workspaceFolder}/a', { workspaceFolder: '/srv' }).fill({}), '/srv/a', 'an operator may set it')
})

t.test('any other form is refused, and not repeated', async t => {
  const rule = 'holds a ${ that is neither ${session.NAME} nor ${env.NAME}; write $${ for one that is meant as it is'
  for (const text of [
    '${session.}', '${env.}', '${env:}', '${Session.canary}', '${session.canary', '${session:canary}', '${}', '${env.A B}',
    '${env.${env.BASE}}', 'pa${ss', '${canary', '${canary-1}', '${canary:1}', '${canary:=1}', '${canary:?1}', '${1}',
    '${UNSET:-${canary}}', '${UNSET:-{canary}}', '${{ secrets.canary }}', '${command:canary}', '${config:canary}',
    '${file(canary)}', '${a.b}', '${ canary }', '${/}', '${cän}'
  ]) {
    t.throws(() => parse(text), refusal(rule), text)
  }
})

t.test('in the query of a url, a variable and its default are encoded alike', async t => {
  const url = (text: string) => parseUrlTemplate(text, host, options).fill({})
  t.equal(url('${BASE:-https://other}/mcp?key=${API_KEY}'), 'https://mcp.example.com/mcp?key=k%26y%3D1')
  t.equal(url('${UNSET:-https://other.example.com}/mcp?key=${UNSET:-a&b}'), 'https://other.example.com/mcp?key=a%26b')
})
