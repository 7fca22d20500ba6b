import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import '../support/without-tap-loader.ts' // without tap's loader in what is started: it more than doubles the time

// Those in which a tool is called, in each era; .ci/run runs all of them.
t.test('the service passes client scenarios of the official conformance suite', async t => {
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'conformance.mjs')
  const { code, output } = await new Promise<{ code: number | string, output: string }>(resolve => {
    execFile(process.execPath, [script, 'tools_call'], { timeout: 170_000 }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : error.code ?? 'killed', output: stdout + stderr }))
  })
  for (const line of output.trimEnd().split('\n')) t.comment(line)
  t.equal(code, 0, 'the run is good')
  t.match(output, /^[1-9]\d* passed, 0 failed,/m)
})
