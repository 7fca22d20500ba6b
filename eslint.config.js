import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

const environment = {
  object: 'process',
  property: 'env',
  message: 'Only plugins/config.ts reads the environment; take values from fastify.config.'
}

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
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
    rules: { 'no-restricted-properties': ['error', environment] }
  }
]
