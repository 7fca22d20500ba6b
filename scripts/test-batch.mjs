/*
 * Runs several test files in this process, one after another, each as a subtest with its name: a file that is run by
 * itself spends a second on importing and warming up the service, which they share here.
 *
 * A file uses tap's root as if it were the only one. So what it does with the root goes to the subtest of its own.
 */
import { join } from 'node:path'
import t from 'tap'

const { folder, files, timeoutMs } = JSON.parse(process.env.TEST_BATCH)
delete process.env.TEST_BATCH // none of the business of processes that tests start
const test = t.test.bind(t)
// A file that waits for nothing would end the process, and the files after it would not run.
const staysOpen = setInterval(() => {}, 60_000)
for (const file of files) {
  await test(file, { timeout: timeoutMs }, async ofFile => {
    // Bound, and not wrapped: tap takes the line that calls it for the place of a test.
    for (const method of ['test', 'before', 'teardown', 'setTimeout']) t[method] = ofFile[method].bind(ofFile)
    Object.defineProperty(t, 'jobs', {
      configurable: true, get: () => ofFile.jobs, set: jobs => { ofFile.jobs = jobs }
    })
    await import(join(folder, file.replace(/\.ts$/, '.js')))
  })
}
clearInterval(staysOpen)

// What is still open now was not closed by one of the files. By itself it would not end either.
setTimeout(() => {
  console.error(`Still open after ${files.join(', ')}: ${process.getActiveResourcesInfo().join(', ')}`)
  process.exit(1)
}, 30_000).unref()
