import { readdirSync } from 'node:fs'
import importX from 'eslint-plugin-import-x'
import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'
import { rooms } from './scripts/rooms.mjs'

const environment = {
  object: 'process',
  property: 'env',
  message: 'Only plugins/config.ts reads the environment; take values from fastify.config.'
}

/** Files on lib's own floor: every room may import them, and they import only each other. */
const groundFloor = readdirSync(new URL('lib', import.meta.url)).filter(name => name.endsWith('.ts'))

/** Which folder may import which; see docs/design.md. */
const zones = [
  { target: './lib', from: ['./plugins', './routes', './app.ts'], message: 'lib knows nothing of Fastify, plugins or routes.' },
  { target: './plugins', from: './routes', message: 'Routes use plugins, not the other way round.' },
  ...groundFloor.map(file => ({ target: `./lib/${file}`, from: './lib', except: groundFloor.map(name => `./${name}`) })),
  ...Object.entries(rooms).map(([room, imports]) => ({
    target: `./${room}`,
    from: './lib',
    except: [...groundFloor.map(name => `./${name}`), ...[room, ...imports].map(name => name.replace(/^lib/, '.'))],
    message: `${room} may import ${['the files of lib itself', ...imports].join(', ')}; see docs/design.md.`
  }))
]

/**
 * What V8 puts into the old generation at once. There it keeps whatever its function sees, which is all of a request,
 * until the collector looks through the whole heap.
 */
const longLived = [
  {
    selector: "ObjectExpression > Property[kind='get']",
    message: 'An object with a getter has a shape of its own, which lives long; write a method or a plain property.'
  },
  {
    selector: "AssignmentExpression[left.type='MemberExpression'][right.type=/^(Arrow)?FunctionExpression$/]",
    message: 'A function written where it is assigned to a property lives long; declare it before.'
  }
]

/** Longest line (characters). */
const maxLength = { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true }

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  {
    // Tests and scripts quote requests and answers, which are easier to compare in one piece.
    files: ['**/*.{js,mjs,ts}'],
    rules: { '@stylistic/max-len': ['error', { ...maxLength, ignoreStrings: true, ignoreTemplateLiterals: true }] }
  },
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // An import of nothing but inline types would still load its module.
      '@typescript-eslint/no-import-type-side-effects': 'error'
    }
  },
  {
    files: ['app.ts', 'plugins/**/*.ts', 'routes/**/*.ts', 'lib/**/*.ts'],
    ignores: ['plugins/config.ts'],
    rules: {
      'no-restricted-properties': ['error', environment],
      '@stylistic/max-len': ['error', maxLength]
    }
  },
  {
    // What is made for one request must go with it.
    files: ['lib/mcp/{client,http,transports}/**/*.ts', 'lib/mcp/processes/process-*.ts', 'lib/calls/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...longLived] }
  },
  {
    files: ['app.ts', 'plugins/**/*.ts', 'routes/**/*.ts', 'lib/**/*.ts'],
    plugins: { 'import-x': importX },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': 'error',
      'import-x/no-duplicates': ['error', { 'prefer-inline': true }]
    }
  }
]
