process.stderr.write('I vanish\n');
process.exit(7);
