import { signDemoToken } from './api/tokens.mjs'

// Prints a token that the demo API accepts: `node examples/sign-token.mjs [seconds]`.
const [seconds = '3600'] = process.argv.slice(2)
console.log(await signDemoToken({ secret: process.env.DEMO_API_SECRET, expiresInSeconds: Number(seconds) }))
