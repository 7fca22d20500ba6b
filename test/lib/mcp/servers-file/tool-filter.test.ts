import t from 'tap'
import { offersTool } from '../../../../lib/mcp/servers-file/tool-filter.ts'

t.test('tools are offered that are included and not excluded', async t => {
  t.ok(offersTool({}, 'any'))
  t.notOk(offersTool({ includeTools: [] }, 'any'))
  t.notOk(offersTool({ excludeTools: ['*'] }, 'any'))
  t.ok(offersTool({ includeTools: ['get_*', 'set_one'], excludeTools: ['*_secret'] }, 'get_value'))
  t.ok(offersTool({ includeTools: ['get_*', 'set_one'], excludeTools: ['*_secret'] }, 'set_one'))
  t.notOk(offersTool({ includeTools: ['get_*'], excludeTools: ['*_secret'] }, 'get_secret'))
  t.notOk(offersTool({ includeTools: ['get_*'] }, 'forget_value'))
})

t.test('a pattern\'s star stands for any characters, and nothing else does', async t => {
  const taken: Array<[pattern: string, tool: string]> = [
    ['*', ''], ['*', 'a'], ['a*', 'a'], ['*a', 'a'], ['a*b', 'ab'], ['a*b', 'a-b-b'], ['a*b*c', 'abc'],
    ['a**c', 'ac'], ['*b*', 'abc'], ['a.c', 'a.c'], ['*a*a*', 'aa']
  ]
  const passed: Array<[pattern: string, tool: string]> = [
    ['a', 'ab'], ['a', 'A'], ['a*b', 'a'], ['a*a', 'a'], ['ab*ba', 'aba'], ['a*b*b', 'ab'], ['a.c', 'abc'],
    ['a?', 'ab'], ['*a*a*', 'a']
  ]
  for (const [pattern, tool] of taken) t.ok(offersTool({ includeTools: [pattern] }, tool), `${pattern} takes ${tool}`)
  for (const [pattern, tool] of passed) {
    t.notOk(offersTool({ includeTools: [pattern] }, tool), `${pattern} passes over ${tool}`)
  }
})

t.test('a long name does not make a pattern slow', async t => {
  // With a regular expression this would outlast the test's timeout.
  t.notOk(offersTool({ includeTools: [`${'*a'.repeat(30)}*b*`] }, 'a'.repeat(100_000)))
})
