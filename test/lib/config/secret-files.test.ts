import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EnvironmentSchema, secretNames } from '../../../lib/config/environment.ts'
import { readSecretFiles } from '../../../lib/config/secret-files.ts'
import { makeFolder } from '../../support/folders.ts'

t.test('every secret may be in a file, and the schema knows it', async t => {
  const folder = await makeFolder(t)
  const environment: Record<string, string> = { REDIS_HOST: 'redis', PATH: '/bin' }
  for (const name of secretNames) {
    writeFileSync(join(folder, name), `canary of ${name}\n`)
    environment[`${name}_FILE`] = join(folder, name)
  }
  const before = { ...environment }
  t.strictSame(readSecretFiles(environment), {
    ...environment,
    ...Object.fromEntries([...secretNames].map(name => [name, `canary of ${name}`]))
  })
  t.strictSame(environment, before, 'the input stays as it is')
  t.strictSame(
    Object.keys(EnvironmentSchema.properties).filter(name => secretNames.has(name.replace(/_FILE$/, ''))).sort(),
    [...secretNames].flatMap(name => [name, `${name}_FILE`]).sort()
  )
})

t.test('a secret that is set in both ways is refused', async t => {
  const file = join(await makeFolder(t), 'secret')
  writeFileSync(file, 'canary')
  for (const name of secretNames) {
    for (const path of [file, `${file}-nowhere`]) {
      t.throws(() => readSecretFiles({ [name]: 'canary', [`${name}_FILE`]: path }), {
        code: 'MCPC_ERR_CONFIG', message: `${name} and ${name}_FILE are both set: keep the one that is meant`
      })
    }
    for (const empty of ['', '  ', undefined]) {
      t.equal(readSecretFiles({ [name]: empty, [`${name}_FILE`]: file })[name], 'canary')
      t.equal(readSecretFiles({ [name]: 'canary', [`${name}_FILE`]: empty })[name], 'canary')
    }
  }
})

t.test('every file with a fault is named, on one line', async t => {
  const folder = await makeFolder(t)
  mkdirSync(join(folder, 'folder'))
  t.throws(() => readSecretFiles({
    REDIS_PASSWORD_FILE: join(folder, 'folder'), MCP_ENCRYPTION_KEYS_FILE: join(folder, 'nowhere')
  }), {
    code: 'MCPC_ERR_CONFIG',
    message: /^REDIS_PASSWORD_FILE must be .*"\/.*\/folder" is a folder; MCP_ENCRYPTION_KEYS_FILE must be .*exist$/
  })
})

t.test('what is no secret is in no file', async t => {
  const file = join(await makeFolder(t), 'host')
  writeFileSync(file, 'canary')
  t.equal(readSecretFiles({ REDIS_HOST_FILE: file }).REDIS_HOST, undefined)
})
