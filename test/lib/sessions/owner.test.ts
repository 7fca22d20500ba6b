import t from 'tap'
import { ownerOf } from '../../../lib/sessions/owner.ts'
import { splitFields } from '../../../lib/sessions/fields.ts'

const names = ['apiUrl', 'jwtToken', 'unit']

function hashOf (fields: Record<string, string>): string {
  const texts = new Map(Object.entries({ apiUrl: '"https://api.example.com"', jwtToken: '"a.b.c"', ...fields }))
  return ownerOf(splitFields(texts, names).identity, 'key').credentials
}

t.test('credentials are the same in any order and spelling of a text', async t => {
  t.equal(hashOf({ unit: '"a"', jwtToken: '"a.b.c"' }), hashOf({ jwtToken: '"\\u0061.b.c"', unit: '"\\u0061"' }))
  t.equal(hashOf({ unit: '7' }), hashOf({ unit: '7' }))
})

t.test('credentials that differ beyond the digits of a double are not the same', async t => {
  t.not(hashOf({ unit: '1915883588174806058' }), hashOf({ unit: '1915883588174806059' }))
  t.not(hashOf({ unit: '{"n":1915883588174806058}' }), hashOf({ unit: '{"n":1915883588174806059}' }))
})

t.test('an older version hashed the values, and its sessions keep their owner', async t => {
  t.equal(hashOf({ unit: '{"n":7}' }), 'ErIpYWS_0tGgBbvfDgNeHoTlsVyGM9DPQurJqotM7jc')
})
